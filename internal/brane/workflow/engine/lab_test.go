package engine

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// lab is a namespace of the test cluster in which a test executes runs, with the counter that their steps call.
type lab struct {
	t         *testing.T
	admin     *kube.Client
	namespace string
	redis     redis.UniversalClient
	counter   *counter
	variable  func(name string) string // of the cluster's environment
}

func newLab(t *testing.T) *lab {
	t.Helper()
	variable := func(name string) string { return clustertest.Getenv(t, name) }
	return &lab{t, clustertest.Client(t), clustertest.Namespace(t), dial(t), newCounter(t, variable("BRANE_BRIDGE_IP")), variable}
}

// dial connects to the Redis of the test cluster from this machine.
func dial(t *testing.T) redis.UniversalClient {
	t.Helper()
	client, err := files.Dial(clustertest.Getenv(t, "BRANE_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// run returns a run of these steps, whose keys in Redis are deleted at the end.
func (l *lab) run(steps ...workflow.Step) *Run {
	l.t.Helper()
	g, err := workflow.NewGraph(steps)
	if err != nil {
		l.t.Fatal(err)
	}
	run := &Run{
		ID: clustertest.Name("lab"), Graph: g, Kube: l.admin, Namespace: l.namespace, AgentImage: l.variable("BRANE_AGENT_IMAGE"),
		Redis: l.redis, RedisURL: l.variable("BRANE_REDIS_POD_URL"), Retention: time.Hour, Holder: "a test", leaseTime: 6 * time.Second,
	}
	l.t.Cleanup(func() {
		store, err := Files(l.redis, run.ID)
		if err == nil {
			err = store.Delete(context.Background()) // the context of the test has ended
		}
		if err != nil {
			l.t.Error(err)
		}
	})
	return run
}

// step returns a step that counts each start and then runs a shell script.
func (l *lab) step(name, then string, needs ...string) workflow.Step {
	return workflow.Step{
		Name: name, Image: l.variable("BRANE_TOOLS_IMAGE"), Needs: needs,
		Command: []string{"sh", "-ec", "wget -q -O /dev/null " + l.counter.url + "/ran/" + name + "; " + then},
	}
}

// second returns a command that counts under this name and fails the first time.
func (l *lab) second(name string) string {
	return fmt.Sprintf("test $(wget -q -O - %s/ran/%s) -gt 1", l.counter.url, name)
}

// wait returns a command that lasts until the test calls counter.release.
func (l *lab) wait() string { return "wget -q -O /dev/null " + l.counter.url + "/wait" }

// jobs lists the Jobs of a run.
func (l *lab) jobs(run *Run) []string {
	l.t.Helper()
	var jobs batchv1.JobList
	if err := l.admin.List(l.t.Context(), &jobs, l.namespace, workflow.RunLabel+"="+run.ID); err != nil {
		l.t.Fatal(err)
	}
	var names []string
	for _, job := range jobs.Items {
		names = append(names, job.Labels[workflow.StepLabel]+" "+job.Labels[workflow.AttemptLabel])
	}
	return names
}

// counter is a server that steps call over HTTP: it counts how often each has run, and lets them wait.
type counter struct {
	url     string
	mu      sync.Mutex
	ran     map[string]int
	arrived chan struct{} // closed when the first step asks to wait
	waits   chan struct{}
	release func() // ends all waits, now and later
}

func newCounter(t *testing.T, address string) *counter {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{url: "http://" + listener.Addr().String(), ran: map[string]int{}, arrived: make(chan struct{}), waits: make(chan struct{})}
	c.release = sync.OnceFunc(func() { close(c.waits) })
	var once sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("/ran/", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ran[path.Base(r.URL.Path)]++
		_, _ = fmt.Fprint(w, c.ran[path.Base(r.URL.Path)]) // an error means that the step has ended
	})
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(c.arrived) })
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

func (c *counter) of(step string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ran[step]
}

// executed is the result of an Execute.
type executed struct {
	result workflow.Result
	err    error
}

// execute executes a run in the background.
func execute(ctx context.Context, run *Run) <-chan executed {
	ended := make(chan executed, 1)
	go func() {
		result, err := run.Execute(ctx)
		ended <- executed{result, err}
	}()
	return ended
}

// another returns the same run for a second process.
func another(run *Run, holder string) *Run {
	other := *run
	other.Holder = holder
	return &other
}

// heard returns a channel that is closed at an event of a run.
func heard(run *Run, kind workflow.EventKind, step string) <-chan workflow.Event {
	events := make(chan workflow.Event, 1)
	before := run.Observe
	run.Observe = func(event workflow.Event) {
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

// await waits for a value and fails the test if none arrives.
func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(2 * time.Minute):
		t.Fatalf("waited two minutes for %s", what)
		panic("unreachable")
	}
}

// succeeds checks that a run has succeeded.
func (e executed) succeeds(t *testing.T) {
	t.Helper()
	if e.err != nil {
		t.Fatal(e.err)
	}
	for _, failure := range e.result.Failures {
		t.Errorf("%s", failure.Detail())
	}
}
