package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// resync is the interval at which commits and Jobs are read without an event, in case an event was lost.
const resync = 30 * time.Second

// retryBackoff is the pause before a request that the API server did not answer is repeated: from 250 ms up to 5 s.
var retryBackoff = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Cap: 5 * time.Second, Steps: 10}

// loop is one execution: it updates its progress from the events of Redis and the watches on Jobs and Pods, and acts on it.
type loop struct {
	*Run
	progress
	store    *files.Store
	lease    *lease
	records  map[string]files.Record // of committed steps
	gatherer *gatherer
	pods     map[string]map[types.UID]*corev1.Pod // of each step, all that the watches have delivered
	stuck    map[string]stuck                     // steps whose pod does not start
	failures []*workflow.Failure
	resync   time.Time    // when to read everything the next time
	retry    time.Time    // when to repeat a request that the API server did not answer; zero if there is none
	backoff  wait.Backoff // of the next retry
	// deniedSince is when the API server began to deny requests; zero if it does not.
	deniedSince time.Time
}

func newLoop(r *Run, store *files.Store, lease *lease) *loop {
	return &loop{
		Run: r, progress: newProgress(r.Graph), store: store, lease: lease, backoff: retryBackoff,
		records: map[string]files.Record{}, gatherer: &gatherer{graph: r.Graph, store: store, parts: map[string]files.Record{}},
		pods: map[string]map[types.UID]*corev1.Pod{}, stuck: map[string]stuck{},
	}
}

// run returns when the run or ctx has ended. All watches have ended then.
func (l *loop) run(ctx context.Context) error {
	if err := l.takeUp(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	signals := l.follow(ctx)
	defer func() {
		cancel()
		for range signals {
			// until the watches have ended and the channel is closed
		}
	}()
	look, err := len(l.suspects) > 0, error(nil) // whether to read the commits before the next decision
	for {
		if l.giveUpStuck(ctx, time.Now()) || look {
			if err := l.look(ctx); err != nil {
				return err
			}
		}
		if err := l.prewarm(ctx); err != nil {
			return err
		}
		if ended(l.Graph, l.known) {
			return nil
		}
		if err := l.start(ctx, next(l.Graph, l.known, l.Parallel)); err != nil {
			return err
		}
		timer := time.NewTimer(time.Until(l.wake(time.Now())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
			if look, err = l.takeTime(ctx, time.Now()); err != nil {
				return err
			}
		case signal := <-signals:
			timer.Stop()
			if look, err = l.take(ctx, signal); err != nil {
				return err
			}
		}
	}
}

// takeTime handles the timer: it reads everything if a resync is due.
func (l *loop) takeTime(ctx context.Context, now time.Time) (look bool, err error) {
	if now.Before(l.resync) {
		return false, nil // a retry or a timeout is due
	}
	l.resync = now.Add(resync)
	return true, l.missJobs(ctx)
}

// takeUp reads what earlier executions have done and started.
func (l *loop) takeUp(ctx context.Context) error {
	if err := l.readCommits(ctx); err != nil {
		return err
	}
	l.resync = time.Now().Add(resync)
	if l.lease.term == 1 {
		return nil // this is the first execution
	}
	if err := l.recallFailures(ctx); err != nil {
		return err
	}
	jobs, err := l.listAttempts(ctx)
	if err != nil {
		return err
	}
	for _, step := range l.adopt(jobs) {
		l.awaitPod(step)
		l.observe(workflow.Event{Step: step, Kind: workflow.StepAdopted, Detail: l.jobName(step)})
	}
	return nil
}

// look reads the commits. Suspect steps that are not committed have failed.
func (l *loop) look(ctx context.Context) error {
	if err := l.readCommits(ctx); err != nil {
		return err
	}
	if len(l.suspects) > 0 { // the deletion of a namespace deletes pods, Jobs and everything else in any order
		if err := l.namespaceThere(ctx); err != nil {
			return err
		}
	}
	failures := l.failSuspects()
	for _, step := range slices.Sorted(maps.Keys(failures)) {
		failure := l.failure(ctx, step, failures[step])
		l.failures = append(l.failures, failure)
		if err := l.keepFailure(ctx, failure); err != nil {
			return err
		}
		l.observe(workflow.Event{Step: step, Kind: workflow.StepFailed, Detail: failure.Reason})
	}
	return nil
}

// readCommits reads which steps are committed. If Redis does not answer, the store retries for as long as its patience lasts.
func (l *loop) readCommits(ctx context.Context) error {
	open := l.unsettled()
	if len(open) == 0 {
		return nil
	}
	records, conflicts, err := l.gatherer.commits(ctx, open, leavesNothing(l.Graph, l.known))
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("read the commits of run %q: %w", l.ID, err)
	}
	for name, record := range records {
		l.commit(name)
		l.records[name] = record
		delete(l.stuck, name)
		l.observe(workflow.Event{Step: name, Kind: workflow.StepCommitted, Detail: record.Ended.Sub(record.Started).Round(time.Millisecond).String()})
	}
	for name, conflict := range conflicts {
		l.conflict(name, suspicion{workflow.ReasonFilesConflict, conflict.Error()})
	}
	for _, name := range open { // early steps may be started now, and the timeouts of their pods count from now
		for _, pod := range l.pods[name] {
			if l.known[name] == started {
				l.noteStuck(name, pod, time.Now())
			}
		}
	}
	return nil
}

// start creates the Jobs of these steps. A Job that exists was created by a request whose answer was lost. If the API server does not answer, the request is repeated
// later: commits arrive through Redis, so a run survives a long restart.
func (l *loop) start(ctx context.Context, names []string) error {
	if len(names) == 0 || time.Now().Before(l.retry) {
		return nil
	}
	if err := l.lease.check(ctx); workflow.IsLost(err) {
		return err
	} else if err != nil {
		return l.postpone(ctx, err)
	}
	l.retry = time.Time{}
	for _, name := range names {
		step, err := l.called(l.Graph.Step(name), l.records)
		if err != nil {
			return fmt.Errorf("create the Job of step %q: %w", name, err)
		}
		number := l.nextAttempt(name, l.lease.term)
		job, err := l.job(step, number, l.phaseOf(name) == early, leavesNothing(l.Graph, l.known), l.lease.owner())
		if err != nil {
			return fmt.Errorf("create the Job of step %q: %w", name, err)
		}
		kind := workflow.StepStarted
		err = l.Kube.Create(ctx, job)
		if apierrors.IsAlreadyExists(err) {
			kind, err = workflow.StepAdopted, nil
		}
		if err != nil {
			return l.postpone(ctx, fmt.Errorf("create the Job of step %q, %s: %w", name, kube.Describe(job), err))
		}
		l.begin(name, number)
		l.awaitPod(name)
		l.backoff = retryBackoff
		l.observe(workflow.Event{Step: name, Kind: kind, Detail: job.Name})
	}
	return nil
}

// prewarm creates Jobs one step early if that is configured, and deletes early Jobs that others wait for.
func (l *loop) prewarm(ctx context.Context) error {
	if !l.Prewarm {
		return nil
	}
	free := len(l.Graph.Steps())
	if l.Parallel > 0 {
		free = l.Parallel
		for _, phase := range l.known {
			if phase == started || phase == early {
				free--
			}
		}
	}
	begin, withdraw := l.ahead(l.holdsAll, free)
	for _, step := range withdraw {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.jobName(step)}}
		if err := l.Kube.Delete(ctx, job); err != nil && !apierrors.IsNotFound(err) {
			return l.postpone(ctx, fmt.Errorf("delete %s, which was created early: %w", kube.Describe(job), err))
		}
		l.takeBack(step)
		l.observe(workflow.Event{Step: step, Kind: workflow.StepWithdrawn, Detail: job.Name})
	}
	return l.start(ctx, begin)
}

// holdsAll reports whether the pod of a step's latest attempt has all requested resources.
func (l *loop) holdsAll(step string) bool {
	for _, pod := range l.pods[step] {
		if l.isLatest(step, pod) && holdsAll(pod) {
			return true
		}
	}
	return false
}

// postpone schedules a retry of a request if its error is retryable.
func (l *loop) postpone(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !l.isRetryable(err):
		return l.explainGone(ctx, err)
	}
	l.retry = time.Now().Add(l.backoff.Step())
	l.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
	return nil
}

// wake returns when the loop has to continue without a signal.
func (l *loop) wake(now time.Time) time.Time {
	at := l.resync
	if !l.retry.IsZero() && l.retry.Before(at) {
		at = l.retry
	}
	for step, s := range l.stuck {
		if end := s.since.Add(s.timeout); l.known[step] == started && end.Before(at) {
			at = end
		}
	}
	if at.Before(now) {
		return now
	}
	return at
}

// stop cancels the run for its agents, and deletes the Jobs that are not committed. This has to happen after Ctrl-C as well, so it has a separate short timeout.
func (l *loop) stop(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	brief, told := context.WithTimeout(ctx, 5*time.Second) // Redis may be the part that does not answer
	defer told()
	return errors.Join(
		l.store.Cancel(brief),
		l.deleteJobs(ctx, func(job *batchv1.Job) bool {
			phase := l.known[job.Labels[workflow.StepLabel]]
			return phase == committed || phase == failed
		}),
	)
}
