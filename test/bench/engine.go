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

// The compared chains.
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
	argo      *argo // nil if it is not measured
	serial    int   // for unique names
}

// run is a run and what executes it.
type run struct {
	spec    *workflow.Spec
	clients engine.Clients
}

// measureEngine measures the overhead of the run engine: it compares its Jobs with plain Jobs of the same program that are chained by what a
// client can watch.
func measureEngine(ctx context.Context, r *report, o options) (err error) {
	l, done, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if controller := o.peers[argoWorkflows]; controller != "" {
		if l.argo, err = startArgo(ctx, l, controller); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.argo.stop(ctx)) }()
	}
	for _, measure := range []func(context.Context, *report) error{l.measureShortChains, l.measureWorkingChains, l.measureLongChains, l.measureFanOuts} {
		if err := measure(ctx, r); err != nil {
			return err
		}
	}
	return measureAppliedChains(ctx, r, o)
}

// measureShortChains compares chains whose steps do nothing with plain Jobs that are chained in three ways.
func (l *lab) measureShortChains(ctx context.Context, r *report) error {
	endings := []ending{containerEnded, podSucceeded, jobComplete}
	s, err := r.repeatRounds(fmt.Sprintf("chains of %d", trivial.length), 10*time.Minute, func(s samples) error {
		for _, end := range endings {
			if err := l.addPlainChain(ctx, s, end.name, trivial, end); err != nil {
				return err
			}
		}
		run, err := l.chain(ctx, trivial, false)
		if err != nil {
			return err
		}
		ahead, err := l.chain(ctx, trivial, true)
		if err == nil {
			err = l.addArgoChain(ctx, s, trivial)
		}
		s.add("run", run.took.Seconds())
		s.add("prewarm", ahead.took.Seconds())
		s.add("requests", float64(run.requests)/float64(trivial.length))
		s.add("gap", medianOf(run.gaps).Seconds())
		return err
	})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("chain of %d", trivial.length)
	step := 1 / float64(trivial.length)
	r.add(name, "s a step", s.scaleRounds("run", step), withPeer(argoWorkflows, s.scaleRounds(argoWorkflows, step)))
	for i, most := range []float64{1.1, 0.6, 0.4} {
		r.add(name, "× plain Jobs, next on "+endings[i].name, s.divideRounds("run", endings[i].name), withUpperLimit(most))
	}
	r.add(name+" with prewarm", "× plain Jobs, next on "+containerEnded.name, s.divideRounds("prewarm", containerEnded.name), withUpperLimit(0.7))
	r.add("commit announced to next Job's POST", "ms, median", s.scaleRounds("gap", 1000))
	for i, gap := range s["gap"] {
		s.add("share", 100*gap*float64(trivial.length)/s["run"][i])
	}
	r.add("commit announced to next Job's POST", "% of a step", s["share"], withUpperLimit(2))
	r.add("API requests a step", "", s["requests"], withUpperLimit(6))
	return nil
}

// measureWorkingChains compares chains whose steps take longer than a pod takes to start.
func (l *lab) measureWorkingChains(ctx context.Context, r *report) error {
	name := fmt.Sprintf("chain of %d steps of 2 s with prewarm", working.length)
	s, err := r.repeatRounds(name, 5*time.Minute, func(s samples) error {
		ahead, err := l.chain(ctx, working, true)
		s.add("prewarm", ahead.took.Seconds())
		return errors.Join(err, l.addPlainChain(ctx, s, "plain", working, containerEnded))
	})
	if err != nil {
		return err
	}
	r.add(name, "× plain Jobs, next on "+containerEnded.name, s.divideRounds("prewarm", "plain"), withUpperLimit(0.8))
	return nil
}

// measureLongChains compares a long chain with plain Jobs of the same length, whose pods stay on the node as well: the limit must not contain what the node takes
// for more pods. Next to it is what both take compared with short chains.
func (l *lab) measureLongChains(ctx context.Context, r *report) error {
	name, times := fmt.Sprintf("chain of %d", long.length), long.length/trivial.length
	s, err := r.repeatRounds(name, 10*time.Minute, func(s samples) error {
		for _, c := range []chain{trivial, long} {
			run, err := l.chain(ctx, c, false)
			if err != nil {
				return err
			}
			plain, err := l.plainChain(ctx, c, containerEnded)
			if err != nil {
				return err
			}
			s.add(fmt.Sprint("run ", c.length), run.took.Seconds()/float64(c.length)) // a step
			s.add(fmt.Sprint("plain ", c.length), plain.Seconds()/float64(c.length))
		}
		return nil
	})
	if err != nil {
		return err
	}
	short, hundred := fmt.Sprint("run ", trivial.length), fmt.Sprint("run ", long.length)
	plainShort, plainHundred := fmt.Sprint("plain ", trivial.length), fmt.Sprint("plain ", long.length)
	r.add(name, "s a step", s[hundred])
	r.add(name, "× plain Jobs, next on "+containerEnded.name, s.divideRounds(hundred, plainHundred), withUpperLimit(1.1))
	r.add(name, fmt.Sprintf("× %d chains of %d", times, trivial.length), s.divideRounds(hundred, short))
	r.add(fmt.Sprintf("chain of %d plain Jobs", long.length), fmt.Sprintf("× %d chains of %d", times, trivial.length), s.divideRounds(plainHundred, plainShort))
	return nil
}

// addPlainChain adds the time of a chain of plain Jobs.
func (l *lab) addPlainChain(ctx context.Context, s samples, name string, c chain, on ending) error {
	took, err := l.plainChain(ctx, c, on)
	s.add(name, took.Seconds())
	return err
}

// chained is the cost of a chain of steps.
type chained struct {
	took     time.Duration
	requests int64
	gaps     []time.Duration // from the announcement of a commit to the creation of the next Job
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
	events := store.Events(ctx, files.Steps)
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

// medianOf returns the median of durations.
func medianOf(durations []time.Duration) time.Duration {
	numbers := make([]float64, len(durations))
	for i, d := range durations {
		numbers[i] = float64(d)
	}
	return time.Duration(median(numbers))
}
