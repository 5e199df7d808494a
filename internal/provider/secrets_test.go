package provider_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Neither state, plan, log nor output holds a password, a token or a kubeconfig: of the whole path, with a failing step, with all that a CLI can log.
func TestAccSecrets(t *testing.T) {
	t.Parallel()
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	config := acctest.RequiredProviders + s.Config(t, wordCount)
	c.WriteFile(t, "main.tf", config)
	log := filepath.Join(t.TempDir(), "trace.log")
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	var printed strings.Builder
	call := func(args ...string) {
		t.Helper()
		cmd, out := c.Command(t.Context(), args...)
		cmd.Env = append(cmd.Env, "TF_LOG=TRACE", "TF_LOG_PATH="+log)
		err := cmd.Run()
		printed.Write(out.Bytes())
		if failing := slices.Contains(args, "failing.plan"); err != nil != (failing && args[0] == "apply") {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
	}
	call("plan", "-out", "first.plan")
	call("apply", "first.plan")
	c.WriteFile(t, "main.tf", strings.Replace(config, "wc -w > /data/second", "exit 3", 1))
	call("plan", "-out", "failing.plan")
	call("apply", "failing.plan")
	call("show", "-json", "first.plan")
	call("show", "-json")

	places := map[string]string{"what the CLI prints": printed.String()}
	for _, name := range []string{log, filepath.Join(c.Directory, "terraform.tfstate"), filepath.Join(c.Directory, "terraform.tfstate.backup")} {
		text, err := os.ReadFile(name)
		acctest.NoError(t, err)
		places[filepath.Base(name)] = string(text)
	}
	for _, name := range []string{"first.plan", "failing.plan"} {
		readPlan(t, filepath.Join(c.Directory, name), places)
	}
	// What is looked for would be found: the places hold what is no secret.
	for place, sign := range map[string]string{
		"what the CLI prints": "exit code 3", "trace.log": "finished in", "terraform.tfstate": `"fingerprint"`, "first.plan: tfplan": "brane_workflow_run",
	} {
		if !strings.Contains(places[place], sign) {
			t.Errorf("%s does not hold %q", place, sign)
		}
	}
	for secret, forms := range collectSecrets(t, s) {
		for _, form := range forms {
			for place, text := range places {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("%s holds the %s, after: …%s", place, secret, text[max(0, at-200):at])
				}
			}
		}
	}
}

// readPlan adds the parts of a plan file, which is a zip.
func readPlan(t *testing.T, name string, places map[string]string) {
	t.Helper()
	archive, err := zip.OpenReader(name)
	acctest.NoError(t, err)
	defer archive.Close()
	for _, part := range archive.File {
		opened, err := part.Open()
		acctest.NoError(t, err)
		text, err := io.ReadAll(opened)
		acctest.NoError(t, err)
		places[filepath.Base(name)+": "+part.Name] = string(text)
	}
}

// collectSecrets are the secrets of the test in the forms in which they could stand somewhere.
func collectSecrets(t *testing.T, s acctest.Env) map[string][]string {
	t.Helper()
	registration, err := infra.Lookup(t.Context(), infra.NewDirectoryStore(s.Directory, infra.V06), s.Namespace)
	acctest.NoError(t, err)
	provider, err := os.ReadFile(clustertest.Getenv(t, acctest.KubeconfigVariable))
	acctest.NoError(t, err)
	redis, err := url.Parse(clustertest.Getenv(t, "BRANE_REDIS_URL"))
	acctest.NoError(t, err)
	password, _ := redis.User.Password()
	if password == "" {
		t.Fatal("the test cluster has no Redis password")
	}
	return map[string][]string{
		"Redis password":   forms([]byte(password)),
		"token":            tokenForms(t, registration.Kubeconfig),
		"kubeconfig":       forms(registration.Kubeconfig),
		"provider's token": tokenForms(t, provider),
	}
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
