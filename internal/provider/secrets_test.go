package provider_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The secrets that the configuration of [TestAccSecrets] contains.
const (
	stepSecret     = "value-of-a-step-7Hq2Lx9"     // in secret_env_wo
	registrySecret = "password-of-registry-3Vn8Kd" // in registry_credentials
)

// secretsConfig uses every credential: the token of the provider, a client certificate, two addresses of Redis with passwords, the password of a registry, a
// registered token, and secret environment variables; in runs with both ways to inject the agent, and in one with an engine inside the cluster. Credentials are read
// from files, because those in the environment of the CLI would be found there.
const secretsConfig = acctest.RequiredProviders + `
provider "brane" {
  control_plane = { directory = "$DIRECTORY" }
  redis         = { url = file("$SECRETS/url"), pod_url = file("$SECRETS/pod_url") }
  kubernetes    = { config_path = "$KUBECONFIG" }
  clusters = {
    admin = {
      host                   = "$HOST"
      cluster_ca_certificate = file("$SECRETS/ca")
      client_certificate     = file("$SECRETS/certificate")
      client_key             = file("$SECRETS/key")
    }
  }
}

resource "brane_namespace" "test" {
  name                 = "$NAMESPACE"
  registry_credentials = { "registry.example.org" = { username = "puller", password_wo = file("$SECRETS/registry"), password_wo_version = 1 } }
}

resource "brane_namespace" "other" {
  cluster = "admin"
  name    = "$NAMESPACE-other"
}

resource "brane_infrastructure" "test" {
  name        = "$NAMESPACE"
  namespace   = brane_namespace.test.name
  registry    = "$REGISTRY"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.test.service_account.name }
}

resource "brane_workflow_run" "test" {
  for_each              = { container = ["init_container", true], volume = ["image_volume", true], engine = ["init_container", false] }
  name                  = each.key
  infrastructure        = brane_infrastructure.test.name
  agent_injection       = each.value[0]
  wait                  = each.value[1]
  secret_env_wo         = { held = { WORD = file("$SECRETS/step") } }
  secret_env_wo_version = 1
  inputs                = { "text" = { content = "the quick brown fox" } }
  steps = {
    held = { image = "$TOOLS", command = ["sh", "-c", "test -n \"$WORD\" && wget -q -O /dev/null $SERVER/$${0} && wc -w /data/text > /data/words && echo counted words", each.key] }
    last = { image = "$TOOLS", command = ["sh", "-c", "cat /data/words"], needs = ["held"] }
  }
  outputs = { words = { path = "words" } }
}

output "ids" {
  value = join(",", [for run in brane_workflow_run.test : run.id])
}
`

// TestAccSecrets searches for every secret of a configuration that uses all of them in every place where it could be: while steps and an engine are running, and after
// a run has succeeded, a run has failed, and all was planned and shown with all that a CLI can log. Only the exceptions that the guide on security describes are
// allowed, and all of them must be found, so that the search is known to work.
func TestAccSecrets(t *testing.T) {
	t.Parallel()
	clustertest.RequireOwn(t) // it reads the processes and files of pods
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	steps := newHeldSteps(t, s.Getenv(t, "BRANE_BRIDGE_IP"))
	config := writeSecrets(t, s, steps.url)
	c.WriteFile(t, "main.tf", config)
	log, temporary := filepath.Join(t.TempDir(), "trace.log"), t.TempDir()
	c.Env = slices.DeleteFunc(c.Env, func(variable string) bool {
		return strings.HasPrefix(variable, "BRANE_REDIS_") || strings.HasPrefix(variable, "KUBE_")
	})
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Env = append(c.Env, "TF_LOG=TRACE", "TF_LOG_PATH="+log, "TMPDIR="+temporary)
	places := searched{}
	call := func(args ...string) {
		t.Helper()
		cmd, out := c.Command(t.Context(), args...)
		err := cmd.Run()
		places.add("what the CLI prints", out.Bytes())
		if failing := slices.Contains(args, "failing.plan"); err != nil != (failing && args[0] == "apply") {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
	}
	call("plan", "-out", "first.plan")
	var applied sync.WaitGroup
	cmd, out := c.Command(t.Context(), "apply", "first.plan")
	acctest.NoError(t, cmd.Start())
	applied.Go(func() { _ = cmd.Wait() }) // its exit code is checked below
	steps.await(t, 3, out)
	places.addProcesses(t, s)
	secrets := collectSecrets(t, s)
	for _, kind := range []string{"configmaps", "jobs", "pods", "events", "serviceaccounts", "roles", "rolebindings"} {
		places.add("objects of the cluster", []byte(s.Kubectl(t, "", "get", kind, "-n", s.Namespace, "-o", "json")))
	}
	close(steps.release)
	applied.Wait()
	places.add("what the CLI prints", out.Bytes())
	if !cmd.ProcessState.Success() {
		t.Fatalf("apply: %s\n%s", cmd.ProcessState, out)
	}
	call("apply", "-refresh-only", "-auto-approve") // the outputs of the engine
	places.addRedis(t, strings.Split(c.Run(t, "output", "-raw", "ids"), ","))

	c.WriteFile(t, "main.tf", strings.Replace(config, "cat /data/words", "exit 3", 1))
	call("plan", "-out", "failing.plan")
	call("apply", "failing.plan")
	call("show", "-json", "first.plan")
	call("show", "-json")
	places.addLogs(t, s)
	places.addFiles(t, "files of the CLI and the provider", c.Directory, temporary, filepath.Dir(log))
	places.addFiles(t, "control plane", s.Directory)
	for _, name := range []string{"first.plan", "failing.plan"} {
		places.addPlan(t, filepath.Join(c.Directory, name))
	}
	checkPlaces(t, places, secrets)
}

// allowed are the secrets that a place may contain; the guide on security describes them.
var allowed = map[string][]string{
	"control plane":               {"registered token", "registered kubeconfig"},
	"environment of agent volume": {"secret of the step", "Secret of a run"}, // the API server has no other way without an init container
	"environment of agent":        {"secret of the step"},
	"environment of command":      {"secret of the step"},
}

// signs are what each place contains without being secret, so that an empty place is noticed.
var signs = map[string]string{
	"what the CLI prints": "exit code 3", "files of the CLI and the provider": "finished in", "plan": "brane_workflow_run", "objects of the cluster": "BRANE_", "Redis": "the quick brown fox",
	"control plane": "locations:", "logs of pods": "counted words", "arguments of agent": "brane-agent", "arguments of engine": "brane-engine", "arguments of command": "wget", "arguments of others": "kubelet",
	"environment of command": "PATH=", "environment of engine": "KUBERNETES_SERVICE_HOST", "environment of others": "TF_LOG=TRACE", "environment of agent volume": "PATH=", "environment of agent": "PATH=",
	"files of engine": "", "files of agent": "the quick brown fox", "files of agent volume": "the quick brown fox",
}

// checkPlaces reports every secret in a place that may not contain it, and every exception that is none.
func checkPlaces(t *testing.T, places searched, secrets map[string][]string) {
	t.Helper()
	for place, sign := range signs {
		if content := places[place]; len(content) == 0 || !bytes.Contains(content, []byte(sign)) {
			t.Errorf("the place %q has %d bytes, without %q", place, len(content), sign)
		}
	}
	for place, content := range places {
		var found []string
		for secret, forms := range secrets {
			kind, _, _ := strings.Cut(secret, ":")
			for _, form := range forms {
				at := bytes.Index(content, []byte(form))
				if at < 0 {
					continue
				}
				found = append(found, kind)
				if !slices.Contains(allowed[place], kind) {
					t.Errorf("%s: contains %s, after: …%q", place, secret, content[max(0, at-200):at])
				}
				break
			}
		}
		for _, kind := range allowed[place] {
			if !slices.Contains(found, kind) {
				t.Errorf("%s: does not contain %s, which is allowed", place, kind)
			}
		}
	}
}

// writeSecrets writes the credentials into files and returns the configuration that uses them.
func writeSecrets(t *testing.T, s acctest.Env, server string) string {
	t.Helper()
	admin, err := kube.Connection{ConfigPath: s.Getenv(t, "KUBECONFIG")}.Config()
	acctest.NoError(t, err)
	directory := t.TempDir()
	for name, content := range map[string][]byte{
		"url": []byte(s.Getenv(t, "BRANE_REDIS_URL")), "pod_url": []byte(s.Getenv(t, "BRANE_REDIS_POD_URL")), "registry": []byte(registrySecret), "step": []byte(stepSecret),
		"ca": admin.CAData, "certificate": admin.CertData, "key": admin.KeyData,
	} {
		if len(content) == 0 {
			t.Fatalf("the test cluster has no %s", name)
		}
		acctest.NoError(t, os.WriteFile(filepath.Join(directory, name), content, 0o600))
	}
	return strings.NewReplacer("$DIRECTORY", s.Directory, "$SECRETS", directory, "$KUBECONFIG", clustertest.Getenv(t, acctest.KubeconfigVariable), "$HOST", admin.Host, "$SERVER", server,
		"$NAMESPACE", s.Namespace, "$TOOLS", s.Getenv(t, "BRANE_TOOLS_IMAGE"), "$REGISTRY", s.Getenv(t, "BRANE_REGISTRY")).Replace(secretsConfig)
}

// collectSecrets returns the secrets of the test, in the forms in which they could be anywhere. Those of a kind begin with its name and a colon.
func collectSecrets(t *testing.T, s acctest.Env) map[string][]string {
	t.Helper()
	registration, err := infra.Lookup(t.Context(), infra.NewDirectoryStore(s.Directory, infra.V06), s.Namespace)
	acctest.NoError(t, err)
	provider, err := os.ReadFile(clustertest.Getenv(t, acctest.KubeconfigVariable))
	acctest.NoError(t, err)
	admin, err := kube.Connection{ConfigPath: s.Getenv(t, "KUBECONFIG")}.Config()
	acctest.NoError(t, err)
	redis, err := url.Parse(clustertest.Getenv(t, "BRANE_REDIS_URL"))
	acctest.NoError(t, err)
	password, _ := redis.User.Password()
	if password == "" {
		t.Fatal("the test cluster has no Redis password")
	}
	key := bytes.Split(bytes.TrimSpace(admin.KeyData), []byte("\n"))
	secrets := map[string][]string{
		"password of Redis":      forms([]byte(password)),
		"registered token":       tokenForms(t, registration.Kubeconfig),
		"registered kubeconfig":  forms(registration.Kubeconfig),
		"token of the provider":  tokenForms(t, provider),
		"client key":             append(forms(admin.KeyData), string(key[len(key)/2])), // one line of it
		"secret of the step":     forms([]byte(stepSecret)),
		"password of a registry": forms([]byte(registrySecret)),
	}
	var ofRuns corev1.SecretList
	acctest.NoError(t, s.Client.List(t.Context(), &ofRuns, s.Namespace, "brane/run"))
	passwords := regexp.MustCompile(`rediss?://[^:\s]*:([^@\s]+)@`)
	for _, secret := range ofRuns.Items {
		for name, value := range secret.Data {
			if match := passwords.FindSubmatch(value); match != nil {
				secrets[fmt.Sprintf("Secret of a run: the password in %s of %s", name, secret.Name)] = forms(match[1])
			}
		}
	}
	if len(secrets) < 10 {
		t.Errorf("found only %d secrets, although there are three runs", len(secrets))
	}
	return secrets
}

// tokenForms are the forms of a kubeconfig's token, and the part of it without which the others are worth nothing.
func tokenForms(t *testing.T, kubeconfig []byte) []string {
	t.Helper()
	token := regexp.MustCompile(`(?m)^\s*token: "?([^"\s]+)"?$`).FindSubmatch(kubeconfig)
	if token == nil {
		t.Fatal("the kubeconfig has no token")
	}
	if _, _, ok := credentials.Expiry(string(token[1])); !ok {
		t.Fatal("the kubeconfig's token is none")
	}
	signature := token[1][bytes.LastIndexByte(token[1], '.')+1:]
	return append(forms(token[1]), string(signature))
}

// forms are a secret as it is, inside JSON, in a URL, and in base64 at each of the three places at which it could begin.
func forms(secret []byte) []string {
	inJSON, _ := json.Marshal(string(secret)) // a text is always JSON
	all := []string{string(secret), string(inJSON[1 : len(inJSON)-1]), url.QueryEscape(string(secret))}
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		all = append(all, encoded[4:len(encoded)-4]) // the first and last characters depend on what is around it
	}
	return all
}
