// Package workflow runs a graph of containers on a cluster. Each step is a Job; the files of a step are committed to Redis at once or not at all, and that
// commit alone is what makes a step done. Jobs and Pods tell why a step is not done; announcements by Redis only say when to look.
//
// It uses kube and files; it knows nothing of Terraform, nor where the cluster's credential comes from.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Run is one execution of a graph of steps. All fields but Parallel and Observe must be set.
type Run struct {
	ID         string // see [Identity.ID]
	Graph      Graph
	Inputs     map[string]files.Source // path below /data → content
	Kube       *kube.Client            // with the account that submits
	Namespace  string
	AgentImage string
	Redis      redis.UniversalClient // as this process dials it
	RedisURL   string                // the same server as a pod dials it, with its password
	Retention  time.Duration         // how long the run's files stay, but for its outputs
	Parallel   int                   // Jobs of the run at once; 0 means no limit
	Observe    func(Event)           // hears what happens, one call after another; may be nil

	deadline time.Time // of all Redis keys; known once the run's record is
}

// Result is what became of a run that came to its end.
type Result struct {
	Steps    map[string]StepResult
	Failures []*Failure // none when the run has succeeded
	Allowed  []*Failure // of steps whose failure is allowed
}

// StepResult is what became of one step.
type StepResult struct {
	Status  StepStatus
	Code    int // exit code of the program; 0 unless the step has failed by one
	Started time.Time
	Ended   time.Time
	Layer   files.Layer // the tree that a committed step left
}

// StepStatus is how a step ended.
type StepStatus string

// How a step can end.
const (
	Succeeded StepStatus = "succeeded"
	Failed    StepStatus = "failed"
	Stopped   StepStatus = "stopped" // was running when another step failed
	Skipped   StepStatus = "skipped" // was not started
)

// Execute runs the steps that are not committed yet and returns when all are or one has failed. What an earlier Execute of the same id has begun is taken up
// where it stands. A failed step is no error but part of the result; the error says why the run could not be carried on, and when ctx ended that is its cause:
// then the Jobs that still ran are deleted. The error is a [TakenError] where the id is that of a run elsewhere; nothing is made then.
func (r *Run) Execute(ctx context.Context) (Result, error) {
	if err := r.checkPlace(ctx); err != nil {
		return Result{}, err
	}
	owner, err := r.record(ctx)
	if err != nil {
		return Result{}, err
	}
	store, err := r.open()
	if err != nil {
		return Result{}, err
	}
	if err := store.SetMeta(ctx, r.placeMeta()); err != nil {
		return Result{}, fmt.Errorf("note run %q in Redis: %w", r.ID, err)
	}
	if err := r.putInputs(ctx, store); err != nil {
		return Result{}, err
	}
	if err := r.handOver(ctx, owner); err != nil {
		return Result{}, err
	}
	if err := r.putSecretEnv(ctx, owner); err != nil {
		return Result{}, err
	}
	loop := &loop{Run: r, store: store, owner: owner, known: map[string]phase{}, records: map[string]files.Record{}, pods: map[string]*corev1.Pod{}, stuck: map[string]stuck{}}
	err = loop.run(ctx)
	if _, hasFailed := decide(r.Graph, loop.known); err != nil || hasFailed {
		if stopErr := loop.stop(ctx); err == nil && stopErr != nil {
			r.observe(Event{Kind: RunDisturbed, Detail: stopErr.Error()})
		}
	}
	return loop.result(), err
}

func (r *Run) open() (*files.Store, error) {
	return files.Open(files.Config{Redis: r.Redis, Run: r.ID, Deadline: r.deadline})
}

func (r *Run) putInputs(ctx context.Context, store *files.Store) error {
	layer, err := store.PutInputs(ctx, r.Inputs)
	if err == nil {
		err = store.SetInput(ctx, layer)
	}
	if err != nil {
		return fmt.Errorf("store the inputs of run %q: %w", r.ID, err)
	}
	return nil
}

func (r *Run) observe(event Event) {
	event.At = time.Now()
	if r.Observe != nil {
		r.Observe(event)
	}
}

// loop is one Execute: what is known of the steps, fed by the store's events and by the watches on Jobs and Pods.
type loop struct {
	*Run
	store    *files.Store
	owner    metav1.OwnerReference
	known    map[string]phase
	records  map[string]files.Record // of committed steps
	pods     map[string]*corev1.Pod  // the latest of each step
	stuck    map[string]stuck        // steps whose pod does not get on by itself
	failures []*Failure
}

// run goes on until the run has ended or ctx has. All watches have ended when it returns.
func (l *loop) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	signals := l.follow(ctx)
	defer func() {
		cancel()
		for range signals.all {
			// drained until the followers have ended and closed it
		}
	}()
	look := true // whether to read the commits before the next decision
	for {
		if look {
			if err := l.readCommits(ctx); err != nil {
				return err
			}
		}
		l.giveUpStuck(ctx, time.Now())
		if ended(l.Graph, l.known) {
			return nil
		}
		if err := l.start(ctx, next(l.Graph, l.known, l.Parallel)); err != nil {
			return err
		}
		grace := time.NewTimer(l.nextGrace(time.Now()))
		select {
		case <-ctx.Done():
			grace.Stop()
			return context.Cause(ctx)
		case <-grace.C:
			look = true
			l.missJobs(ctx)
		case signal := <-signals.all:
			grace.Stop()
			look = l.take(ctx, signal)
		}
	}
}

// readCommits learns which steps are committed. Redis may be away for a while: the store tries again by itself, up to its patience.
func (l *loop) readCommits(ctx context.Context) error {
	var open []string
	for _, name := range l.Graph.order {
		if l.known[name] != committed {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return nil
	}
	records, err := l.store.Commits(ctx, open)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("read the commits of run %q: %w", l.ID, err)
	}
	for name, record := range records {
		l.known[name], l.records[name] = committed, record
		delete(l.stuck, name)
		l.observe(Event{Step: name, Kind: StepCommitted, Detail: record.Ended.Sub(record.Started).Round(time.Millisecond).String()})
	}
	return nil
}

// start makes the Jobs of these steps. A Job that is there already was made by an earlier Execute.
func (l *loop) start(ctx context.Context, names []string) error {
	for _, name := range names {
		job, err := l.job(l.Graph.steps[name], leavesNothing(l.Graph, l.known), l.owner)
		if err != nil {
			return fmt.Errorf("make the Job of step %q: %w", name, err)
		}
		kind := StepStarted
		err = l.Kube.Create(ctx, job)
		if apierrors.IsAlreadyExists(err) {
			kind, err = StepAdopted, nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("make the Job of step %q, %s: %w", name, kube.Describe(job), err)
		}
		l.known[name] = started
		l.observe(Event{Step: name, Kind: kind, Detail: job.Name})
	}
	return nil
}

// stop deletes the Jobs that are not committed. It is what must happen after Ctrl-C too, so it has a short time of its own.
func (l *loop) stop(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	return l.deleteJobs(ctx, func(step string) bool { return l.known[step] == committed || l.known[step] == failed })
}

func (l *loop) result() Result {
	result := Result{Steps: map[string]StepResult{}}
	for _, name := range l.Graph.order {
		switch l.known[name] {
		case committed:
			result.Steps[name] = succeeded(l.records[name])
		case started:
			result.Steps[name] = StepResult{Status: Stopped}
		case waiting:
			result.Steps[name] = StepResult{Status: Skipped}
		case failed: // told with its failure
		}
	}
	for _, failure := range l.failures {
		result.Steps[failure.Step] = StepResult{Status: Failed, Code: failure.Code}
		if l.Graph.steps[failure.Step].AllowFailure {
			result.Allowed = append(result.Allowed, failure)
		} else {
			result.Failures = append(result.Failures, failure)
		}
	}
	return result
}

// fail marks a step as failed, once.
func (l *loop) fail(failure *Failure) {
	if l.known[failure.Step] == failed || l.known[failure.Step] == committed {
		return
	}
	l.known[failure.Step] = failed
	l.failures = append(l.failures, failure)
	l.observe(Event{Step: failure.Step, Kind: StepFailed, Detail: failure.Reason})
}

// jobDeletedReason is our own word beside Kubernetes' reasons.
const jobDeletedReason = "JobDeleted"

// errVanished says that a Job went before its step was committed: somebody deleted it, and nobody knows whether its program had ended.
var errVanished = errors.New("the Job was deleted before its step had stored its files")

func jobFailed(job *batchv1.Job) (batchv1.JobCondition, bool) {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Status == corev1.ConditionTrue {
			return condition, true
		}
	}
	return batchv1.JobCondition{}, false
}
