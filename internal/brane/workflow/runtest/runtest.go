// Package runtest executes runs on the test cluster, for the tests of packages engine and detached.
package runtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Run is a run of a lab, with what executes it.
type Run struct {
	Spec    *workflow.Spec
	Clients engine.Clients
	Options engine.Options
}

// Execute executes the run.
func (r *Run) Execute(ctx context.Context) (workflow.Result, error) {
	return engine.Execute(ctx, r.Spec, r.Clients, r.Options)
}

// Lab is a namespace of the test cluster in which a test executes runs, with the counter that their steps call.
type Lab struct {
	t         *testing.T
	Admin     *kube.Client
	Namespace string
	Redis     redis.UniversalClient
	Counter   *Counter                 // nil in a process that was started by a test
	Getenv    func(name string) string // of the cluster's environment
}

// New returns a lab in a new namespace of the test cluster.
func New(t *testing.T) *Lab {
	t.Helper()
	getenv := func(name string) string { return clustertest.Getenv(t, name) }
	return NewOn(t, clustertest.Client(t), clustertest.Namespace(t), Dial(t), getenv)
}

// NewOn returns a lab in a namespace of any cluster.
func NewOn(t *testing.T, admin *kube.Client, namespace string, client redis.UniversalClient, getenv func(string) string) *Lab {
	t.Helper()
	return &Lab{t, admin, namespace, client, newCounter(t, getenv("BRANE_BRIDGE_IP")), getenv}
}

// Dial connects to the Redis of the test cluster from outside of it.
func Dial(t *testing.T) redis.UniversalClient {
	t.Helper()
	client, err := files.Dial(clustertest.Getenv(t, "BRANE_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// NewRun returns a run of these steps, whose keys in Redis are deleted at the end.
func (l *Lab) NewRun(steps ...workflow.Step) *Run {
	l.t.Helper()
	g, err := workflow.NewGraph(steps)
	if err != nil {
		l.t.Fatal(err)
	}
	id := clustertest.Name("lab")
	run := &Run{
		Spec:    &workflow.Spec{ID: id, Graph: g, Namespace: l.Namespace, AgentImage: l.Getenv("BRANE_AGENT_IMAGE"), Retention: time.Hour},
		Clients: engine.Clients{Kube: l.Admin, RedisURL: l.Getenv("BRANE_REDIS_POD_URL"), Results: l.openResults(id, g)},
		Options: engine.Options{Holder: record.Holder{Name: "a test", Duration: 6 * time.Second}},
	}
	l.t.Cleanup(func() {
		if err := run.Clients.Results.Files().Delete(context.Background()); err != nil { // the context of the test has ended
			l.t.Error(err)
		}
	})
	return run
}

// Change returns the same run with other steps.
func (l *Lab) Change(run *Run, steps ...workflow.Step) *Run {
	l.t.Helper()
	g, err := workflow.NewGraph(steps)
	if err != nil {
		l.t.Fatal(err)
	}
	changed, spec := *run, *run.Spec
	spec.Graph = g
	changed.Spec, changed.Clients.Results = &spec, l.openResults(spec.ID, g)
	return &changed
}

func (l *Lab) openResults(id string, graph workflow.Graph) *results.Store {
	l.t.Helper()
	store, err := results.Open(l.Redis, id, graph)
	if err != nil {
		l.t.Fatal(err)
	}
	return store
}

// Step returns a step that counts each start and then runs a shell script.
func (l *Lab) Step(name, then string, needs ...string) workflow.Step {
	return workflow.Step{
		Name: name, Image: l.Getenv("BRANE_TOOLS_IMAGE"), Needs: needs,
		Command: []string{"sh", "-ec", "wget -q -O /dev/null " + l.Counter.URL + "/ran/" + name + "; " + then},
	}
}

// FailFirst returns a command that counts under this name and fails the first time.
func (l *Lab) FailFirst(name string) string {
	return fmt.Sprintf("test $(wget -q -O - %s/ran/%s) -gt 1", l.Counter.URL, name)
}

// Wait returns a command that lasts until the test calls Counter.Release.
func (l *Lab) Wait() string { return "wget -q -O /dev/null " + l.Counter.URL + "/wait" }

// ListJobs lists the Jobs of a run.
func (l *Lab) ListJobs(run *Run) []string {
	l.t.Helper()
	var jobs batchv1.JobList
	if err := l.Admin.List(l.t.Context(), &jobs, l.Namespace, workflow.RunLabel+"="+run.Spec.ID); err != nil {
		l.t.Fatal(err)
	}
	var names []string
	for _, job := range jobs.Items {
		names = append(names, job.Labels[workflow.StepLabel]+" "+job.Labels[workflow.AttemptLabel])
	}
	return names
}

// Result returns the key of a step's result in the latest execution, or of an index as "fan.3". Its needs must have ended.
func (l *Lab) Result(run *Run, name string) files.ResultKey {
	l.t.Helper()
	fingerprints, err := run.Clients.Results.Files().Fingerprints(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	step, _, isIndex := strings.Cut(name, ".")
	fingerprint, isKnown := fingerprints[step]
	if !isKnown {
		l.t.Fatalf("run %s has no fingerprint of step %s", run.Spec.ID, step)
	}
	if isIndex {
		fingerprint = run.Spec.Graph.Step(step).IndexFingerprints(fingerprint.Seen())[name]
	}
	return files.ResultKey{Step: name, Fingerprint: fingerprint}
}

// Counter is a server that steps call over HTTP: it counts how often each has run, and lets them wait.
type Counter struct {
	URL     string
	mu      sync.Mutex
	ran     map[string]int
	Arrived chan struct{} // closed when the first step asks to wait
	waits   chan struct{}
	Release func() // ends all waits, now and later
}

func newCounter(t *testing.T, address string) *Counter {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Counter{URL: "http://" + listener.Addr().String(), ran: map[string]int{}, Arrived: make(chan struct{}), waits: make(chan struct{})}
	c.Release = sync.OnceFunc(func() { close(c.waits) })
	var once sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("/ran/", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ran[path.Base(r.URL.Path)]++
		_, _ = fmt.Fprint(w, c.ran[path.Base(r.URL.Path)]) // an error means that the step has ended
	})
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(c.Arrived) })
		select {
		case <-c.waits:
		case <-r.Context().Done():
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // until Close
	t.Cleanup(func() { _ = server.Close() })
	return c
}

// Count returns how often a step has run.
func (c *Counter) Count(step string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ran[step]
}

// AwaitCount waits until a step has run that often.
func (l *Lab) AwaitCount(step string, count int) {
	l.t.Helper()
	testenv.AwaitTrue(l.t, fmt.Sprintf("step %s to run %d times", step, count), func() bool { return l.Counter.Count(step) >= count })
}

// Ended is the result of an Execute.
type Ended struct {
	Result workflow.Result
	Err    error
}

// Execute executes a run in the background.
func Execute(ctx context.Context, run *Run) <-chan Ended {
	ended := make(chan Ended, 1)
	go func() {
		result, err := run.Execute(ctx)
		ended <- Ended{result, err}
	}()
	return ended
}

// Another returns the same run for a second process.
func Another(run *Run, holder string) *Run {
	other := *run
	other.Options.Holder.Name = holder
	return &other
}

// Heard returns a channel that is closed at an event of a run.
func Heard(run *Run, kind workflow.EventKind, step string) <-chan workflow.Event {
	events := make(chan workflow.Event, 1)
	before := run.Options.Observe
	run.Options.Observe = func(event workflow.Event) {
		if before != nil {
			before(event)
		}
		if event.Kind == kind && event.Step == step {
			select {
			case events <- event:
			default: // only the first is waited for
			}
		}
	}
	return events
}

// CheckSucceeded checks that a run has succeeded.
func (e Ended) CheckSucceeded(t *testing.T) {
	t.Helper()
	if e.Err != nil {
		t.Fatal(e.Err)
	}
	for _, failure := range e.Result.Failures {
		t.Errorf("%s", failure.Detail())
	}
}

// Script returns a step that runs a shell script.
func (l *Lab) Script(name, do string, needs ...string) workflow.Step {
	return workflow.Step{Name: name, Image: l.Getenv("BRANE_TOOLS_IMAGE"), Needs: needs, Command: []string{"sh", "-ec", do}}
}

// StepEnd is the expected result of a step.
type StepEnd struct {
	Status         workflow.StepStatus
	Code, Attempts int
}

// CheckSteps checks how the steps of a run have ended, and that all started ones have times.
func (e Ended) CheckSteps(t *testing.T, want map[string]StepEnd) {
	t.Helper()
	if e.Err != nil {
		t.Fatal(e.Err)
	}
	got := map[string]StepEnd{}
	for name, step := range e.Result.Steps {
		got[name] = StepEnd{step.Status, step.Code, step.Attempts}
		hasRun := step.Status == workflow.Succeeded || step.Status == workflow.Failed
		if hasRun && (step.Started.IsZero() || step.Ended.Before(step.Started) || time.Since(step.Ended) > time.Hour) {
			t.Errorf("step %s went from %s to %s", name, step.Started, step.Ended)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Chain returns two steps in a row; if wait is set, the first lasts until it is released.
func (l *Lab) Chain(waits bool) []workflow.Step {
	then := "true"
	if waits {
		then = l.Wait()
	}
	return []workflow.Step{l.Step("s1", then), l.Step("s2", "true", "s1")}
}

// CheckRanOnce checks that each step of a run has run, and not twice.
func (l *Lab) CheckRanOnce(run *Run) {
	l.t.Helper()
	for _, step := range run.Spec.Graph.Steps() {
		if n := l.Counter.Count(step); n != 1 {
			l.t.Errorf("step %s ran %d times", step, n)
		}
	}
}

// StartChild returns a process that executes the run and can be killed. It is the test binary, see [RunChild].
func (l *Lab) StartChild(run *Run) *exec.Cmd {
	l.t.Helper()
	return l.StartProcess(Child{ID: run.Spec.ID, Namespace: run.Spec.Namespace, Steps: run.Spec.Graph.All(), Lease: run.Options.Holder.Duration})
}

// StartProcess starts such a process.
func (l *Lab) StartProcess(child Child) *exec.Cmd {
	l.t.Helper()
	spec, err := json.Marshal(child)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+string(spec))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return cmd
}

// Kill kills a process, and waits until it is gone.
func Kill(t *testing.T, child *exec.Cmd) {
	t.Helper()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
}

const childVariable = "BRANE_TEST_CHILD"

// Child is what such a process executes.
type Child struct {
	ID, Namespace string
	Steps         []workflow.Step
	Lease         time.Duration
	Token         string // of the service account that starts an engine for the run; empty if the run is executed
	Changes       int    // in the cluster, after which a process that starts an engine is killed
}

// RunChild is the body of TestChild, which is not a test but the process that other tests kill: it executes the run, or calls start if the
// child has a token.
func RunChild(t *testing.T, start func(run *Run, child Child)) {
	t.Helper()
	text := os.Getenv(childVariable)
	if text == "" {
		return
	}
	var child Child
	if err := json.Unmarshal([]byte(text), &child); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return clustertest.Getenv(t, name) }
	l := &Lab{t: t, Admin: clustertest.Client(t), Namespace: child.Namespace, Redis: Dial(t), Getenv: getenv}
	run := l.NewRun(child.Steps...)
	run.Spec.ID, run.Options.Holder.Name, run.Options.Holder.Duration = child.ID, "a child", child.Lease
	run.Clients.Results = l.openResults(child.ID, run.Spec.Graph)
	if child.Token != "" {
		start(run, child)
		return
	}
	if _, err := run.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
}
