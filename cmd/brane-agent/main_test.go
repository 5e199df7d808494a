//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// The test binary is the agent if this is set, because the agent runs as a process and copies itself.
const asAgent = "BRANE_TEST_AS_AGENT"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asThief {
		steal(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == asStraggler {
		straggle(os.Args[2], os.Args[3])
	}
	if os.Getenv(asAgent) != "" {
		main()
	}
	logging.Disable() // of go-redis: its lines about interrupted connections hide the reason of a failure
	os.Exit(m.Run())
}

// noInit makes pods without an init container if it is set; see TestAllHoldsAlone.
const noInit = "BRANE_TEST_NO_INIT"

// pod has the directories that the containers of a pod share, and the directory of the Secret.
type pod struct {
	t      testing.TB
	alone  bool
	mount  string
	data   string
	secret string
	words  string // the file of the termination message
	step   agent.Step
	items  []string
	env    []string
}

// fanOut makes the pod that of an index of a fan-out step with these items.
func (r *run) fanOut(p *pod, completion string, items ...string) {
	r.t.Helper()
	p.step.Indexed, p.step.Items, p.items, p.env = true, files.DigestItems(items), items, []string{agent.EnvIndex + "=" + completion}
	if err := r.store.SetItems(r.t.Context(), items); err != nil {
		r.t.Fatal(err)
	}
}

// TestAllHoldsAlone runs all tests of this package that start an agent again, with pods that have no init container.
func TestAllHoldsAlone(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The skipped tests start no agent, or test what one container passes to the other.
	cmd := exec.Command(self, "-test.skip", "^(TestAllHoldsAlone|TestImports|TestTheAgentIsSmallAndStatic|TestUsage|TestMainContainerFails.*|TestAFileThatMayNotBeRead|TestTheContainersHaveDifferentUsers|Fuzz.*|TestLong.*)$")
	cmd.Env = append(os.Environ(), noInit+"=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// run is a run with inputs on a server.
type run struct {
	t      testing.TB
	server *redistest.Server
	store  *files.Store
	id     string
	limit  time.Time
	mu     sync.Mutex
	pods   map[string]*pod // the last one of each step
}

func newRun(t testing.TB, inputs map[string]files.Source, redis ...string) *run {
	t.Helper()
	return runOn(t, redistest.Start(t, append([]string{"--requirepass", "s3cret"}, redis...)...), inputs)
}

func runOn(t testing.TB, server *redistest.Server, inputs map[string]files.Source) *run {
	t.Helper()
	r := &run{t: t, server: server, id: "test-1", limit: time.Now().Add(time.Hour), pods: map[string]*pod{}}
	client, err := files.Dial(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // nothing is written any more
	if r.store, err = files.Open(files.Config{Redis: client, Run: r.id, Deadline: r.limit}); err != nil {
		t.Fatal(err)
	}
	r.input(inputs)
	return r
}

// input stores the files that the first steps read.
func (r *run) input(inputs map[string]files.Source) {
	r.t.Helper()
	layer, err := r.store.PutInputs(r.t.Context(), inputs)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.SetInput(r.t.Context(), layer); err != nil {
		r.t.Fatal(err)
	}
}

// pod returns a new pod of a step; needs are those of the step and its ancestors.
func (r *run) pod(step string, needs map[string][]string) *pod {
	r.t.Helper()
	return r.podAt(step, needs, r.server.URL())
}

// podAt returns a pod with another address of Redis.
func (r *run) podAt(step string, needs map[string][]string, url string) *pod {
	r.t.Helper()
	p := r.newPod(step, url)
	start, err := r.merge(step, needs)
	if err != nil {
		r.t.Fatal(err)
	}
	p.step.Layer, p.step.Seen = start.Layer, start.Content
	return p
}

// podAhead returns a pod that was created before the steps that its step needs have ended.
func (r *run) podAhead(step string, needs map[string][]string) *pod {
	r.t.Helper()
	p := r.newPod(step, r.server.URL())
	p.step.Ahead, p.step.Needs, p.step.Fingerprints = true, needs, r.fingerprints(needs[step])
	return p
}

func (r *run) newPod(step, url string) *pod {
	r.t.Helper()
	p := &pod{t: r.t, alone: os.Getenv(noInit) != "", mount: r.t.TempDir(), data: r.t.TempDir(), secret: r.t.TempDir()}
	p.words = filepath.Join(p.secret, "termination-log")
	if err := os.WriteFile(p.words, nil, 0o600); err != nil {
		r.t.Fatal(err)
	}
	p.step = agent.Step{Run: r.id, Name: step, Deadline: r.limit.Unix(), Configuration: files.ShortDigest([]byte(step))}
	p.writeSecret(url)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pods[step] = p
	return p
}

// merge returns the files that a step starts with, as the engine merges them.
func (r *run) merge(step string, needs map[string][]string) (files.Stored, error) {
	commits, err := r.store.Commits(r.t.Context(), r.fingerprints(needs[step]))
	if err != nil {
		return files.Stored{}, err
	}
	start, err := r.store.MergeNeeds(r.t.Context(), needs[step], commits, needs)
	if err == nil {
		start.Content, err = r.store.DigestView(r.t.Context(), start.Layer, nil)
	}
	return start, err
}

func (r *run) fingerprints(steps []string) map[string]files.Fingerprint {
	r.t.Helper()
	fingerprints := map[string]files.Fingerprint{}
	for _, step := range steps {
		fingerprints[step] = r.key(step).Fingerprint
	}
	return fingerprints
}

// key returns the key of the result of a step, or of an index as "fan.3". It is that of the last pod of the step.
func (r *run) key(name string) files.ResultKey {
	r.t.Helper()
	step, index, _ := strings.Cut(name, ".")
	r.mu.Lock()
	p := r.pods[step]
	r.mu.Unlock()
	if p == nil {
		r.t.Fatalf("step %q has no pod", step)
	}
	of, seen := p.step, p.step.Seen
	if step != name {
		number, err := strconv.Atoi(index)
		if err != nil {
			r.t.Fatal(err)
		}
		var item *string
		if len(p.items) > 0 {
			item = &p.items[number]
		}
		of.Configuration = agent.IndexConfiguration(of.Configuration, number, item)
	}
	if of.Ahead {
		start, err := r.merge(step, of.Needs)
		if err != nil {
			r.t.Fatal(err)
		}
		seen = start.Content
	}
	return files.ResultKey{Step: name, Fingerprint: files.NewFingerprint(of.Configuration, seen)}
}

// commit returns the commit of a step.
func (r *run) commit(step string) (record files.Record, found bool) {
	r.t.Helper()
	commits, err := r.store.Commits(r.t.Context(), r.fingerprints([]string{step}))
	if err != nil {
		r.t.Fatal(err)
	}
	record, found = commits[step]
	return record, found
}

// committed reports whether a step has a commit.
func (r *run) committed(step string) bool {
	r.t.Helper()
	_, found := r.commit(step)
	return found
}

func (p *pod) writeSecret(url string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.secret, agent.SecretKey), []byte(url+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// result is how a container ended.
type result struct {
	code           int
	stdout, stderr string
}

func (p *pod) command(path, verb string, args ...string) *exec.Cmd {
	args = append([]string{verb, "-mount", p.mount, "-data", p.data, "-secret", p.secret, "-last-words", p.words}, args...)
	cmd := exec.Command(path, args...) // the test's own program
	cmd.Env = append([]string{asAgent + "=1", "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, p.env...)
	return cmd
}

// told returns the command of a container whose environment describes the step.
func (p *pod) told(verb string, args ...string) *exec.Cmd {
	p.t.Helper()
	text, err := p.step.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command(self, verb, args...)
	cmd.Env = append(cmd.Env, agent.EnvStep+"="+text, agent.EnvNode+"=n1", agent.EnvPod+"=p1")
	return cmd
}

// stage runs the init container, if there is one.
func (p *pod) stage() result {
	p.t.Helper()
	if p.alone {
		return result{}
	}
	return finish(p.t, p.told("stage"))
}

// main returns the command of the main container, with the binary that stage has copied if there is an init container.
func (p *pod) main(program ...string) *exec.Cmd {
	p.t.Helper()
	args := append([]string{"--"}, program...)
	if !p.alone {
		return p.command(filepath.Join(p.mount, "brane-agent"), "run", args...)
	}
	cmd := p.told("alone", args...)
	for variable, key := range map[string]string{agent.EnvURL: agent.SecretKey, agent.EnvCA: agent.SecretCA, agent.EnvCert: agent.SecretCert, agent.EnvTLS: agent.SecretTLS} {
		if value, err := os.ReadFile(filepath.Join(p.secret, key)); err == nil {
			cmd.Env = append(cmd.Env, variable+"="+string(value))
		}
	}
	return cmd
}

// lastWords returns the termination message of the container.
func (p *pod) lastWords() string {
	p.t.Helper()
	text, err := os.ReadFile(p.words)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// run runs the main container.
func (p *pod) run(program ...string) result {
	p.t.Helper()
	return finish(p.t, p.main(program...))
}

// staged runs the container that stages the files in.
func (p *pod) staged() result {
	p.t.Helper()
	if p.alone {
		return p.run("echo", "it runs")
	}
	return p.stage()
}

// sh stages in and runs a shell script in the directory of the files.
func (p *pod) sh(script string) result {
	p.t.Helper()
	if r := p.stage(); r.code != 0 {
		p.t.Fatalf("stage ended with %d: %s", r.code, r.stderr)
	}
	return p.run("/bin/sh", "-c", "cd "+p.data+"\n"+script)
}

func finish(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// content reads a file of a committed step.
func (r *run) content(step, name string) string {
	r.t.Helper()
	record, found := r.commit(step)
	if !found {
		r.t.Fatalf("step %q has no commit", step)
	}
	tree, err := r.store.Tree(r.t.Context(), record.Layer)
	if err != nil {
		r.t.Fatal(err)
	}
	e, found := tree.Lookup(name)
	if !found {
		return fmt.Sprintf("<no %s>", name)
	}
	var text strings.Builder
	if err := r.store.Read(r.t.Context(), e, &text); err != nil {
		r.t.Fatal(err)
	}
	return text.String()
}

func (r *run) log(step string) string {
	r.t.Helper()
	text, err := r.store.Log(r.t.Context(), r.key(step))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// TestChain runs a whole graph: inputs, two parallel steps, and one that needs both.
//
//	     ┌── upper ──┐
//	in ──┤           ├── join
//	     └── count ──┘
func TestChain(t *testing.T) {
	r := newRun(t, map[string]files.Source{"text/in.txt": {Content: []byte("hello brane\n")}})
	needs := map[string][]string{"join": {"count", "upper"}, "count": nil, "upper": nil}
	for step, script := range map[string]string{
		"upper": "tr a-z A-Z <text/in.txt >upper.txt; rm text/in.txt",
		"count": "wc -w <text/in.txt | tr -d ' ' >count.txt; echo counted",
	} {
		if got := r.pod(step, map[string][]string{step: nil}).sh(script); got.code != 0 {
			t.Fatalf("%s ended with %d: %s", step, got.code, got.stderr)
		}
	}
	if got := r.pod("join", needs).sh("cat upper.txt count.txt >joined; ls text >>joined; echo done"); got.code != 0 || got.stdout != "done\n" {
		t.Fatalf("join ended with %d, %q: %s", got.code, got.stdout, got.stderr)
	}
	if got, want := r.content("join", "joined"), "HELLO BRANE\n2\n"; got != want {
		t.Errorf("joined is %q, want %q", got, want)
	}
	if got := r.log("count"); got != "counted\n" {
		t.Errorf("the kept output of count is %q", got)
	}
}
