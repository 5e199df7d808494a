package workflowrun_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// survival is a run that the CLI applies and that a test disturbs. Its steps count their starts in Redis, and send requests to a server of the test.
type survival struct {
	acctest.Env
	own    *ownCluster // nil is the shared test cluster
	cli    *acctest.CLI
	server *caller
	redis  *redis.Client
	counts string // the Redis key of the counts, which does not belong to the run
	found  string // the ID of the run
	proxy  string // the URL of a proxy in front of the API server; empty: none
}

// threeSteps are the steps of most of these runs; the middle one runs $SLOW and has the attributes of $MORE, the last one runs $LAST first.
//
//	first ─── slow ─── last
const threeSteps = `
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; echo first > /data/first"] }
    slow  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/slow; $SLOW; echo slow > /data/slow"], needs = ["first"], $MORE }
    last  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/last; $LAST; cat /data/first /data/slow > /data/both"], needs = ["slow"] }
  }
  outputs  = { both = { path = "both" } }
`

// newSurvival returns a run of three steps on the shared test cluster. The slow step sends a request to the server.
func newSurvival(t *testing.T, name, attributes, slow string) *survival {
	t.Helper()
	return newSurvivalIn(t, nil, name, runFault{slow: "wget -q -O /dev/null $SERVER" + slow, attributes: attributes}.configBody())
}

// newSurvivalIn returns a run with this configuration. In its steps, $RAN/name counts a start, $WAIT waits for letGo, $FINISH waits for finish, $WORKS fails until
// works is set, and $OVER reports the end of the command.
func newSurvivalIn(t *testing.T, own *ownCluster, name, body string) *survival {
	t.Helper()
	place := acctest.NewEnv(t)
	if own != nil {
		place.OwnCluster, place.Client = &own.Cluster, own.Client
	}
	s := &survival{
		Env: place, own: own, cli: acctest.NewCLI(t), server: newCaller(t, place.Getenv(t, "BRANE_BRIDGE_IP")), redis: acctest.DialRedis(t, place.Getenv(t, "BRANE_REDIS_URL")), counts: "ran:" + place.Namespace,
	}
	if own != nil {
		s.cli.Env = append(s.cli.Env, "KUBE_CONFIG_PATH="+acctest.WriteDocumentedKubeconfig(t, own.Cluster))
		for _, name := range []string{"KUBECONFIG", "BRANE_REDIS_URL", "BRANE_REDIS_POD_URL", "BRANE_AGENT_IMAGE"} {
			s.cli.Env = append(s.cli.Env, name+"="+own.Variable(t, name))
		}
	}
	t.Cleanup(func() { acctest.NoError(t, s.redis.Del(context.Background(), s.counts).Err()) })
	s.RegisterInfrastructure(t)
	s.writeConfig(t, name, body)
	s.cli.Run(t, "init", "-no-color")
	s.cli.DestroyAtEnd(t)
	return s
}

// countInRedis lets the commands in which $RAN/name occurs count a start of name in a hash in Redis.
func countInRedis(t *testing.T, env acctest.Env, counts, body string) string {
	t.Helper()
	options, err := redis.ParseURL(env.Getenv(t, "BRANE_REDIS_POD_URL"))
	acctest.NoError(t, err)
	host, port, err := net.SplitHostPort(options.Addr)
	acctest.NoError(t, err)
	count := fmt.Sprintf(`printf 'AUTH %%s\\r\\nHINCRBY %%s %%s 1\\r\\nQUIT\\r\\n' %s %s $1 | nc %s %s > /dev/null`, options.Password, counts, host, port)
	return regexp.MustCompile(`\$RAN/([\w.$]+)`).ReplaceAllString(body, strings.NewReplacer("$1", "${1}", "$", "$$").Replace(count))
}

// writeConfig writes the configuration of a run with this body.
func (s *survival) writeConfig(t *testing.T, name, body string) {
	t.Helper()
	body = countInRedis(t, s.Env, s.counts, body)
	call := "wget -q -O /dev/null " + s.server.url
	body = strings.NewReplacer("$WAIT", call+"/wait", "$FINISH", call+"/finish", "$WORKS", call+"/works", "$OVER", call+"/over", "$SERVER", s.server.url).Replace(body)
	outputs := "output \"id\" {\n  value = brane_workflow_run.test.id\n}\n"
	if strings.Contains(body, "both = {") {
		outputs += "output \"both\" {\n  value = brane_workflow_run.test.outputs.both.content\n}\n"
	}
	s.cli.WriteFile(t, "main.tf", acctest.RequiredProviders+s.RunConfig(t, name, body)+outputs)
}

// applying is an apply that is running.
type applying struct {
	cmd   *exec.Cmd
	out   *bytes.Buffer // the JSON lines that the CLI prints
	log   transcript    // the log of the provider
	ended chan struct{}
	err   error
}

// transcript is a buffer that can be read while it is written.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startApply starts an apply.
func startApply(t *testing.T, c *acctest.CLI) *applying {
	t.Helper()
	return startCommand(t, c, "apply", "-auto-approve", "-json")
}

// startCommand starts a command that prints JSON.
func startCommand(t *testing.T, c *acctest.CLI, args ...string) *applying {
	t.Helper()
	a := &applying{ended: make(chan struct{})}
	a.cmd, a.out = c.Command(t.Context(), args...)
	a.cmd.Env, a.cmd.Stderr = append(a.cmd.Env, "TF_LOG_PROVIDER=INFO"), &a.log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal sends Ctrl-C to the process group
	acctest.NoError(t, a.cmd.Start())
	go func() {
		defer close(a.ended)
		a.err = a.cmd.Wait()
	}()
	return a
}

// errors waits for the end of the apply and returns its errors as the CLI prints them.
func (a *applying) errors(t *testing.T) string {
	t.Helper()
	select {
	case <-a.ended:
	case <-time.After(2 * patience):
		t.Fatalf("the apply has not ended:\n%s\n%s", a.out, &a.log)
	}
	var all []string
	for line := range strings.Lines(a.out.String()) {
		var said struct {
			Diagnostic struct{ Severity, Summary, Detail string }
		}
		if err := json.Unmarshal([]byte(line), &said); err == nil && said.Diagnostic.Severity == "error" && said.Diagnostic.Detail != "" { // after Ctrl-C the CLI adds "execution halted"
			all = append(all, said.Diagnostic.Summary+"\n"+said.Diagnostic.Detail)
		}
	}
	if (a.err != nil) != (len(all) > 0) {
		t.Fatalf("apply ended with %v:\n%s\n%s", a.err, a.out, &a.log)
	}
	return strings.Join(all, "\n\n")
}

// provider returns the process ID of the apply's provider.
func (a *applying) provider(t *testing.T) int {
	t.Helper()
	pid, err := disturb.FindProvider(a.cmd.Process.Pid)
	acctest.NoError(t, err)
	if pid == 0 {
		t.Fatalf("the CLI has no provider:\n%s", a.out)
	}
	return pid
}

func (a *applying) killProvider(t *testing.T) {
	t.Helper()
	acctest.NoError(t, syscall.Kill(a.provider(t), syscall.SIGKILL))
}

// suspendProvider stops the provider's process until it is killed, and returns when it has stopped.
func (a *applying) suspendProvider(t *testing.T) {
	t.Helper()
	pid := a.provider(t)
	acctest.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	awaitCondition(t, "the provider to stop", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		acctest.NoError(t, err)
		return bytes.Contains(stat, []byte(") T "))
	})
}

// interrupt sends Ctrl-C to the apply.
func (a *applying) interrupt(t *testing.T) {
	t.Helper()
	acctest.NoError(t, syscall.Kill(-a.cmd.Process.Pid, syscall.SIGINT))
}

// patience is the limit of each wait, long enough for a busy machine.
const patience = 3 * time.Minute

// awaitCondition waits until a condition is true.
func awaitCondition(t *testing.T, what string, is func() bool) {
	t.Helper()
	awaitWithin(t, patience, what, is)
}

// awaitWithin waits until a condition is true, for at most a time.
func awaitWithin(t *testing.T, most time.Duration, what string, is func() bool) {
	t.Helper()
	limit, tick := time.NewTimer(most), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited %s for %s", most, what)
		}
	}
}

// awaitClosed waits until a channel is closed.
func awaitClosed(t *testing.T, what string, channel <-chan struct{}) {
	t.Helper()
	select {
	case <-channel:
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
	}
}

// awaitID waits for the record of the run and returns the ID.
func (s *survival) awaitID(t *testing.T) string {
	t.Helper()
	if s.found != "" {
		return s.found
	}
	awaitCondition(t, "the record of the run", func() bool {
		var records corev1.ConfigMapList
		acctest.NoError(t, s.Client.List(t.Context(), &records, s.Namespace, workflow.RunLabel))
		for _, record := range records.Items {
			s.found = record.Labels[workflow.RunLabel]
		}
		return s.found != ""
	})
	return s.found
}

// awaitCommit waits until a step is committed.
func (s *survival) awaitCommit(t *testing.T, step string) {
	t.Helper()
	store, err := results.OpenFiles(s.redis, s.awaitID(t))
	acctest.NoError(t, err)
	awaitCondition(t, "the commit of step "+step, func() bool {
		fingerprints, err := store.Fingerprints(t.Context())
		acctest.NoError(t, err)
		if fingerprints[step] == "" {
			return false
		}
		commits, err := store.Commits(t.Context(), map[string]files.Fingerprint{step: fingerprints[step]})
		acctest.NoError(t, err)
		return len(commits) > 0
	})
}

// countStarts returns the number of starts of each step.
func (s *survival) countStarts(t *testing.T) string {
	t.Helper()
	counts, err := s.redis.HGetAll(t.Context(), s.counts).Result()
	acctest.NoError(t, err)
	var all []string
	for _, step := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, step+" "+counts[step])
	}
	return strings.Join(all, ", ")
}

// expandNames replaces values that differ between runs.
func (s *survival) expandNames(t *testing.T, text string) string {
	t.Helper()
	if text != "" {
		text = strings.ReplaceAll(text, s.awaitID(t), "$RUN")
	}
	for _, as := range [][2]string{
		// The CLI prints one of two errors when its provider has ended.
		{`Request cancelled\n.*ApplyResourceChange request was cancelled\.`, strings.TrimSpace(killed)},
		{regexp.QuoteMeta(s.Namespace), "$$NAMESPACE"},
		{`(brane-\$RUN-\w+-\d+(-\d+)?)-[a-z0-9]{5}\b`, "$1-POD"},
		{`on node [\w.-]+`, "on node $$NODE"},
		// How far a step has come when a timeout expires depends on the machine.
		{`at that time:\n  step "slow": .*`, "at that time:\n  $$STATE"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "$$TIME"},
		{`\w+ on [\w.-]+, process \d+`, "$$HOLDER"},
		{regexp.QuoteMeta(cmp.Or(s.proxy, s.Client.Host())), "$$CLUSTER"},
		{regexp.QuoteMeta(s.server.url), "$$SERVER"},
	} {
		text = regexp.MustCompile(as[0]).ReplaceAllString(text, as[1])
	}
	return strings.TrimSpace(text)
}

// checkErrors checks the errors of an apply; without any, it must have succeeded.
func (s *survival) checkErrors(t *testing.T, a *applying, want string) {
	t.Helper()
	got := s.expandNames(t, a.errors(t))
	if want = strings.TrimSpace(want); got != want {
		t.Errorf("the apply prints\n%s\n\nwant\n%s\n\n%s", got, want, &a.log)
	}
}

// checkFails applies and checks that the apply fails with these sentences.
func (s *survival) checkFails(t *testing.T, args []string, sentences ...string) {
	t.Helper()
	cmd, out := s.cli.Command(t.Context(), append([]string{"apply", "-auto-approve", "-no-color"}, args...)...)
	if err := cmd.Run(); err == nil {
		t.Fatalf("apply did not fail:\n%s", out)
	}
	checkOutput(t, out, sentences...)
}

func checkOutput(t *testing.T, out *bytes.Buffer, sentences ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "│", "")), " ")
	for _, sentence := range sentences {
		if !strings.Contains(text, sentence) {
			t.Errorf("the CLI does not print %q but\n%s", sentence, out)
		}
	}
}

// checkEnd applies and checks that the apply succeeds, the output, the number of starts of each step, and that the next plan has no changes.
func (s *survival) checkEnd(t *testing.T, ran map[string]int, args ...string) {
	t.Helper()
	s.cli.Run(t, append([]string{"apply", "-auto-approve", "-no-color"}, args...)...)
	if got := strings.TrimSpace(s.cli.Run(t, "output", "-raw", "both")); got != "first\nslow" {
		t.Errorf("the output is %q", got)
	}
	var want []string
	for _, step := range slices.Sorted(maps.Keys(ran)) {
		want = append(want, fmt.Sprintf("%s %d", step, ran[step]))
	}
	if got := s.countStarts(t); got != strings.Join(want, ", ") {
		t.Errorf("the steps were started: %s\nwant: %s", got, strings.Join(want, ", "))
	}
	s.cli.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 means that there are changes
}

// checkNothingLeft destroys the run and checks that nothing of it remains.
func (s *survival) checkNothingLeft(t *testing.T) {
	t.Helper()
	id := s.awaitID(t)
	s.cli.Run(t, "destroy", "-auto-approve", "-no-color")
	acctest.NoError(t, s.CheckNoRunObjects(t.Context()))
	acctest.NoError(t, acctest.CheckNoRedisKeys(t.Context(), s.redis, id))
	if err := s.redis.Do(t.Context(), "ACL", "GETUSER", files.UserName(id, 0)).Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("the run's Redis user still exists: %v", err)
	}
}

// readStatus returns the status of the run in the state, or "" if it is not in the state.
func (s *survival) readStatus(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.cli.Program, "state", "show", "-no-color", acctest.RunAddress)
	cmd.Dir, cmd.Env = s.cli.Directory, s.cli.Env
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return ""
	}
	acctest.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		if name, value, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "status" && strings.HasPrefix(line, "    status") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
