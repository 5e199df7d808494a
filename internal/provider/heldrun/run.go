// Package heldrun has runs that tests hold and disturb: a real CLI applies them, their steps wait for the test, and count their starts.
package heldrun

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Run is a run that the CLI applies and that a test disturbs. Its steps count their starts in Redis, and send requests to a server of the test.
type Run struct {
	acctest.Env
	Own    *Cluster // nil is the shared test cluster
	CLI    *acctest.CLI
	Server *StepServer
	Redis  *redis.Client
	Counts string // the Redis key of the counts, which does not belong to the run
	Proxy  string // the URL of a proxy in front of the API server; empty: none
	id     string
}

// Chain has the differences between runs of three steps:
//
//	first ─── slow ─── last
type Chain struct {
	Slow string // commands of the second step; empty: it waits
	More string // attributes of that step
	Last string // the first commands of the last step; empty: none
}

// String returns the attributes of the run.
func (c Chain) String() string {
	return strings.NewReplacer("$SLOW", cmp.Or(c.Slow, "$WAIT"), "$MORE", c.More, "$LAST", cmp.Or(c.Last, "true")).Replace(`
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; echo first > /data/first"] }
    slow  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/slow; $SLOW; echo slow > /data/slow"], needs = ["first"], $MORE }
    last  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/last; $LAST; cat /data/first /data/slow > /data/both"], needs = ["slow"] }
  }
  outputs  = { both = { path = "both" } }
`)
}

// NewRun returns a run of three steps on the shared test cluster, with these attributes. The slow step sends a request to this path of the server.
func NewRun(t *testing.T, name, attributes, path string) *Run {
	t.Helper()
	return NewRunIn(t, nil, name, Chain{Slow: "wget -q -O /dev/null $SERVER" + path}.String()+attributes+"\n")
}

// NewRunIn returns a run with these attributes. In its steps, $RAN/name counts a start, $WAIT waits for Release, $FINISH waits for Finish, $WORKS fails until Works
// is set, and $OVER reports the end of the command.
func NewRunIn(t *testing.T, own *Cluster, name, attributes string) *Run {
	t.Helper()
	env := acctest.NewEnv(t)
	if own != nil {
		env.OwnCluster, env.Client = &own.Cluster, own.Client
	}
	r := &Run{
		Env: env, Own: own, CLI: acctest.NewCLI(t), Server: NewStepServer(t, env.Getenv(t, "BRANE_BRIDGE_IP")),
		Redis: acctest.DialRedis(t, env.Getenv(t, "BRANE_REDIS_URL")), Counts: "ran:" + env.Namespace,
	}
	if own != nil {
		r.CLI.Env = append(r.CLI.Env, "KUBE_CONFIG_PATH="+acctest.WriteDocumentedKubeconfig(t, own.Cluster))
		for _, name := range []string{"KUBECONFIG", "BRANE_REDIS_URL", "BRANE_REDIS_POD_URL", "BRANE_AGENT_IMAGE"} {
			r.CLI.Env = append(r.CLI.Env, name+"="+own.Variable(t, name))
		}
	}
	t.Cleanup(func() { acctest.NoError(t, r.Redis.Del(context.Background(), r.Counts).Err()) })
	r.RegisterInfrastructure(t)
	r.WriteConfig(t, name, attributes)
	r.CLI.Run(t, "init", "-no-color")
	r.CLI.DestroyAtEnd(t)
	return r
}

// CountInRedis returns a text in which commands with $RAN/name count a start of name in a hash in Redis.
func CountInRedis(t *testing.T, env acctest.Env, counts, text string) string {
	t.Helper()
	options, err := redis.ParseURL(env.Getenv(t, "BRANE_REDIS_POD_URL"))
	acctest.NoError(t, err)
	host, port, err := net.SplitHostPort(options.Addr)
	acctest.NoError(t, err)
	count := fmt.Sprintf(`printf 'AUTH %%s\\r\\nHINCRBY %%s %%s 1\\r\\nQUIT\\r\\n' %s %s $1 | nc %s %s > /dev/null`, options.Password, counts, host, port)
	return regexp.MustCompile(`\$RAN/([\w.$]+)`).ReplaceAllString(text, strings.NewReplacer("$1", "${1}", "$", "$$").Replace(count))
}

// WriteConfig writes the configuration of a run with these attributes.
func (r *Run) WriteConfig(t *testing.T, name, attributes string) {
	t.Helper()
	attributes = CountInRedis(t, r.Env, r.Counts, attributes)
	call := "wget -q -O /dev/null " + r.Server.URL
	attributes = strings.NewReplacer(
		"$WAIT", call+"/wait", "$FINISH", call+"/finish", "$WORKS", call+"/works", "$OVER", call+"/over", "$SERVER", r.Server.URL,
	).Replace(attributes)
	outputs := "output \"id\" {\n  value = brane_workflow_run.test.id\n}\n"
	if strings.Contains(attributes, "both = {") {
		outputs += "output \"both\" {\n  value = brane_workflow_run.test.outputs.both.content\n}\n"
	}
	r.CLI.WriteFile(t, "main.tf", acctest.RequiredProviders+r.RunConfig(t, name, attributes)+outputs)
}

// ReadConfig returns the configuration of the run.
func (r *Run) ReadConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.CLI.Directory, "main.tf"))
	acctest.NoError(t, err)
	return string(text)
}

// ChangeConfig replaces a text in the configuration.
func (r *Run) ChangeConfig(t *testing.T, from, to string) {
	t.Helper()
	text := r.ReadConfig(t)
	if !strings.Contains(text, from) {
		t.Fatalf("the configuration does not contain %q:\n%s", from, text)
	}
	r.CLI.WriteFile(t, "main.tf", strings.Replace(text, from, to, 1))
}

// CopyCLI returns a CLI with the same configuration and a separate state.
func (r *Run) CopyCLI(t *testing.T) *acctest.CLI {
	t.Helper()
	other := acctest.NewCLI(t)
	other.Env = r.CLI.Env
	other.WriteFile(t, "main.tf", r.ReadConfig(t))
	other.Run(t, "init", "-no-color")
	return other
}

// UseProxy registers a proxy as the address of the API server, until direct is called.
func (r *Run) UseProxy(t *testing.T, proxy *httptest.Server) (direct func()) {
	t.Helper()
	store := infra.NewDirectoryStore(r.Directory, infra.V06)
	registration, err := infra.Lookup(t.Context(), store, r.Namespace)
	acctest.NoError(t, err)
	kubeconfig, err := credentials.Parse(registration.Kubeconfig)
	acctest.NoError(t, err)
	proxied := *kubeconfig
	proxied.Server, proxied.CA = proxy.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	register := func(k credentials.Kubeconfig) {
		text, err := credentials.Render(k)
		acctest.NoError(t, err)
		acctest.NoError(t, infra.Register(t.Context(), store, registration.Location, text))
	}
	register(proxied)
	return func() { register(*kubeconfig) }
}

// NewDetachedRun returns a run with wait = false that was applied. Each of its steps has a secret.
func NewDetachedRun(t *testing.T, name, path string) *Run {
	t.Helper()
	r := NewRun(t, name, `
  wait = false
  secret_env_wo = { for step in ["first", "slow", "last"] : step => { SAID = "abracadabra" } }
  secret_env_wo_version = 1`, path)
	r.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	if got := r.ReadStatus(t); got != "running" {
		t.Fatalf("the status is %q", got)
	}
	return r
}
