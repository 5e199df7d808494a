package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
)

// The compared chains. Each runs twice and the faster run counts, because disturbances only add time.
var (
	trivial = chain{length: 10}
	long    = chain{length: 100}
	working = chain{length: 5, program: "sleep 2"} // its steps take longer than a pod takes to start, as prewarm is for such steps
)

// chain is a chain of steps that each add a line to the file of the previous step, and run a program.
type chain struct {
	length  int
	program string // a shell script
}

// lab is a namespace for runs and for plain Jobs, with one client that counts its requests.
type lab struct {
	*requests
	kube      *kube.Client
	namespace string
	redis     redis.UniversalClient
	serial    int // for unique names
}

// run is a run and what executes it.
type run struct {
	spec    *workflow.Spec
	clients engine.Clients
}

// measureEngine measures the overhead of the run engine: it compares its Jobs with plain Jobs of the same program that are chained by what a
// client can watch.
func measureEngine(ctx context.Context, r *report) (err error) {
	l, done, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()

	plain := map[string]time.Duration{}
	for _, end := range []ending{containerEnded, podSucceeded, jobComplete} {
		if plain[end.name], err = l.plainChain(ctx, trivial, end); err != nil {
			return err
		}
	}
	short, err := l.quicker(ctx, trivial, false)
	if err != nil {
		return err
	}
	ahead, err := l.quicker(ctx, trivial, true)
	if err != nil {
		return err
	}
	r.add("chain of %d: seconds a step", short.took.Seconds()/float64(trivial.length), 0, trivial.length)
	r.add("chain of %d: × plain Jobs, next on the container's end", short.over(plain[containerEnded.name]), 1.1, trivial.length)
	r.add("chain of %d: × plain Jobs, next on the pod's phase", short.over(plain[podSucceeded.name]), 0.6, trivial.length)
	r.add("chain of %d: × plain Jobs, next on the Job's end", short.over(plain[jobComplete.name]), 0.4, trivial.length)
	r.add("chain of %d with prewarm: × plain Jobs, next on the container's end", ahead.over(plain[containerEnded.name]), 0.7, trivial.length)
	r.add("commit announced to next Job's POST: ms, median", median(short.gaps).Seconds()*1000, 20)
	r.add("API requests a step", float64(short.requests)/float64(trivial.length), 6)

	if ahead, err = l.quicker(ctx, working, true); err != nil {
		return err
	}
	took, err := l.plainChain(ctx, working, containerEnded)
	if err != nil {
		return err
	}
	r.add("chain of %d steps of 2 s with prewarm: × plain Jobs, next on the container's end", ahead.over(took), 0.8, working.length)

	hundred, err := l.chain(ctx, long, false)
	if err != nil {
		return err
	}
	times := long.length / trivial.length
	r.add("chain of %d: × %d chains of %d", hundred.over(time.Duration(times)*short.took), 1.1, long.length, times, trivial.length)
	return l.fanOut(ctx, r)
}

// chained is the cost of a chain of steps.
type chained struct {
	took     time.Duration
	requests int64
	gaps     []time.Duration // from the announcement of a commit to the creation of the next Job
}

func (c chained) over(other time.Duration) float64 { return c.took.Seconds() / other.Seconds() }

// quicker returns the faster of two runs.
func (l *lab) quicker(ctx context.Context, c chain, ahead bool) (chained, error) {
	one, err := l.chain(ctx, c, ahead)
	if err != nil {
		return chained{}, err
	}
	other, err := l.chain(ctx, c, ahead)
	if other.took > one.took {
		other = one
	}
	return other, err
}

// chain runs a chain.
func (l *lab) chain(ctx context.Context, c chain, ahead bool) (chained, error) {
	if err := l.settle(ctx); err != nil {
		return chained{}, err
	}
	var steps []workflow.Step
	for i := range c.length {
		step := l.step(fmt.Sprintf("step-%03d", i), "date >> /data/lines; "+c.program)
		if i > 0 {
			step.Needs = []string{steps[i-1].Name}
		}
		steps = append(steps, step)
	}
	run, err := l.newRun(steps)
	if err != nil {
		return chained{}, err
	}
	run.spec.Prewarm = ahead
	announced, stop, err := l.announcements(ctx, run.spec.ID)
	if err != nil {
		return chained{}, err
	}
	defer stop()
	l.reset()
	began := time.Now()
	if err := l.execute(ctx, run); err != nil {
		return chained{}, err
	}
	cost := chained{took: time.Since(began), requests: l.count()}
	stop()
	commits, posts := announced(), l.jobsMade()
	if len(commits) != c.length || len(posts) != c.length {
		return chained{}, fmt.Errorf("%d commits were announced and %d Jobs made in a chain of %d", len(commits), len(posts), c.length)
	}
	for i, post := range posts[1:] {
		cost.gaps = append(cost.gaps, post.Sub(commits[i]))
	}
	return cost, nil
}

// announcements subscribes to the announcements in Redis, as the engine does; the times are complete when stop has returned.
func (l *lab) announcements(ctx context.Context, id string) (times func() []time.Time, stop func(), err error) {
	store, err := results.OpenFiles(l.redis, id)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	events := store.Events(ctx)
	<-events // the first event means that the subscription is active
	var heard []time.Time
	var listener sync.WaitGroup
	listener.Go(func() {
		for event := range events {
			if event.State == files.Committed {
				heard = append(heard, time.Now())
			}
		}
	})
	return func() []time.Time { return heard }, func() { cancel(); listener.Wait() }, nil
}

func (l *lab) step(name, shell string) workflow.Step {
	return workflow.Step{Name: name, Image: os.Getenv("BRANE_TOOLS_IMAGE"), Command: []string{"sh", "-c", shell}}
}

func (l *lab) newRun(steps []workflow.Step) (*run, error) {
	return l.describeRun(l.newID(), steps)
}

// newID returns a new ID of a run.
func (l *lab) newID() string {
	l.serial++
	return fmt.Sprintf("bench-%d-%d", os.Getpid(), l.serial)
}

// describeRun returns a run of these steps with this ID.
func (l *lab) describeRun(id string, steps []workflow.Step) (*run, error) {
	graph, err := workflow.NewGraph(steps)
	if err != nil {
		return nil, err
	}
	store, err := results.Open(l.redis, id, graph)
	if err != nil {
		return nil, err
	}
	return &run{
		&workflow.Spec{
			ID: id, Graph: graph, Namespace: l.namespace, AgentImage: os.Getenv("BRANE_AGENT_IMAGE"), Users: workflow.UsersRequire, Retention: time.Hour,
		},
		engine.Clients{Kube: l.kube, Results: store, RedisURL: os.Getenv("BRANE_REDIS_POD_URL")},
	}, nil
}

// execute executes a run and deletes it.
func (l *lab) execute(ctx context.Context, run *run) (err error) {
	defer func() { err = errors.Join(err, run.clients.Results.Files().Delete(context.WithoutCancel(ctx))) }() // also after Ctrl-C
	return l.executeRun(ctx, run)
}

// executeRun executes a run, whose files stay.
func (l *lab) executeRun(ctx context.Context, run *run) error {
	result, err := engine.Execute(ctx, run.spec, run.clients, engine.Options{Holder: record.Holder{Name: "make bench"}})
	if err == nil && len(result.Failures) > 0 {
		err = result.Failures[0]
	}
	return err
}

// connectLab connects to the cluster and to Redis, for a namespace that exists or is created.
func connectLab(namespace string) (*lab, error) {
	config, err := kube.Connection{ConfigPath: os.Getenv("KUBECONFIG")}.Config()
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster of KUBECONFIG: %w", err)
	}
	l := &lab{requests: &requests{}, namespace: namespace}
	config.WrapTransport = l.wrap
	if l.kube, err = kube.New(config); err != nil {
		return nil, err
	}
	l.redis, err = files.Dial(os.Getenv("BRANE_REDIS_URL"))
	return l, err
}

// labs is the number of namespaces that newLab has created.
var labs int

// newLab creates the namespace; done deletes it with its content.
func newLab(ctx context.Context) (l *lab, done func() error, err error) {
	labs++
	if l, err = connectLab(fmt.Sprintf("%sengine-%d-%d", prefix, os.Getpid(), labs)); err != nil {
		return nil, nil, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.namespace}}
	done = func() error {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // also after Ctrl-C
		defer stop()
		return errors.Join(l.redis.Close(), l.kube.Delete(ctx, namespace))
	}
	if err := l.kube.Create(ctx, namespace); err != nil {
		return nil, nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return l.kube.Get(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "default"}}) == nil, nil
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("wait for the default account of namespace %s: %w", l.namespace, err), done())
	}
	return l, done, nil
}

// requests counts requests to the API server and records when Jobs were created.
type requests struct {
	mu    sync.Mutex
	all   int64
	posts []time.Time
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		r.mu.Lock()
		r.all++
		if request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/jobs") {
			r.posts = append(r.posts, time.Now())
		}
		r.mu.Unlock()
		return next.RoundTrip(request)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func (r *requests) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.posts = 0, nil
}

func (r *requests) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

func (r *requests) jobsMade() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

func median(durations []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[len(sorted)/2]
}
