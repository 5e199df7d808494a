package workflow

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
)

// resync is how often commits and Jobs are read although nothing has happened; it heals what no event told of.
const resync = 30 * time.Second

// retryBackoff is the pause before a request is repeated that the API server did not answer: from 250 ms up to 5 s.
var retryBackoff = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Cap: 5 * time.Second, Steps: 10}

// loop is one Execute: its progress, fed by the store's events and by the watches on Jobs and Pods, and what follows from it.
type loop struct {
	*Run
	progress
	store    *files.Store
	lease    *lease
	records  map[string]files.Record // of committed steps
	gatherer *gatherer
	pods     map[string]map[types.UID]*corev1.Pod // of each step, all that were seen
	stuck    map[string]stuck                     // steps whose pod does not get on by itself
	failures []*Failure
	resync   time.Time    // when to look at everything the next time
	retry    time.Time    // when to try again what the API server did not answer; zero when all was answered
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

// run goes on until the run has ended or ctx has. All watches have ended when it returns.
func (l *loop) run(ctx context.Context) error {
	if err := l.takeUp(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	signals := l.follow(ctx)
	defer func() {
		cancel()
		for range signals {
			// drained until the followers have ended and closed it
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

// takeTime looks at everything once in a while, although nothing has happened.
func (l *loop) takeTime(ctx context.Context, now time.Time) (look bool, err error) {
	if now.Before(l.resync) {
		return false, nil // a retry or a timeout is due
	}
	l.resync = now.Add(resync)
	return true, l.missJobs(ctx)
}

// takeUp learns what earlier Executes have done and begun.
func (l *loop) takeUp(ctx context.Context) error {
	if err := l.readCommits(ctx); err != nil {
		return err
	}
	l.resync = time.Now().Add(resync)
	if l.lease.term == 1 {
		return nil // nobody was here before
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
		l.observe(Event{Step: step, Kind: StepAdopted, Detail: l.jobName(step)})
	}
	return nil
}

// look reads the commits. What is suspect and still has none has failed.
func (l *loop) look(ctx context.Context) error {
	if err := l.readCommits(ctx); err != nil {
		return err
	}
	if len(l.suspects) > 0 { // the deletion of a namespace takes pods, Jobs and all, in any order
		if err := l.namespaceThere(ctx); err != nil {
			return err
		}
	}
	failures := l.convict()
	for _, step := range slices.Sorted(maps.Keys(failures)) {
		failure := l.failure(ctx, step, failures[step])
		l.failures = append(l.failures, failure)
		if err := l.keepFailure(ctx, failure); err != nil {
			return err
		}
		l.observe(Event{Step: step, Kind: StepFailed, Detail: failure.Reason})
	}
	return nil
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
		l.observe(Event{Step: name, Kind: StepCommitted, Detail: record.Ended.Sub(record.Started).Round(time.Millisecond).String()})
	}
	for name, conflict := range conflicts {
		l.suspects[name] = suspicion{conflictReason, conflict.Error()}
	}
	for _, name := range open { // what was early is started now, and what its pods wait for counts from now
		for _, pod := range l.pods[name] {
			if l.known[name] == started {
				l.noteStuck(name, pod, time.Now())
			}
		}
	}
	return nil
}

// start makes the Jobs of these steps. One that is there already was made by a request whose answer got lost. Where the API server does not answer, the steps
// wait, and it is tried again: commits come through Redis, so a run can outlive a long restart.
func (l *loop) start(ctx context.Context, names []string) error {
	if len(names) == 0 || time.Now().Before(l.retry) {
		return nil
	}
	if err := l.lease.check(ctx); gone(err) {
		return err
	} else if err != nil {
		return l.postpone(ctx, err)
	}
	l.retry = time.Time{}
	for _, name := range names {
		step, err := l.called(l.Graph.steps[name], l.records)
		if err != nil {
			return fmt.Errorf("create the Job of step %q: %w", name, err)
		}
		number := l.nextAttempt(name, l.lease.term)
		job, err := l.job(step, number, l.phaseOf(name) == early, leavesNothing(l.Graph, l.known), l.lease.owner())
		if err != nil {
			return fmt.Errorf("create the Job of step %q: %w", name, err)
		}
		kind := StepStarted
		err = l.Kube.Create(ctx, job)
		if apierrors.IsAlreadyExists(err) {
			kind, err = StepAdopted, nil
		}
		if err != nil {
			return l.postpone(ctx, fmt.Errorf("create the Job of step %q, %s: %w", name, kube.Describe(job), err))
		}
		l.begin(name, number)
		l.awaitPod(name)
		l.backoff = retryBackoff
		l.observe(Event{Step: name, Kind: kind, Detail: job.Name})
	}
	return nil
}

// prewarm makes Jobs one step early, where the run wants that, and takes back what is in the way.
func (l *loop) prewarm(ctx context.Context) error {
	if !l.Prewarm {
		return nil
	}
	free := len(l.Graph.order)
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
		l.observe(Event{Step: step, Kind: StepWithdrawn, Detail: job.Name})
	}
	return l.start(ctx, begin)
}

// holdsAll says whether the pod of a step's latest attempt has all that it asked for.
func (l *loop) holdsAll(step string) bool {
	for _, pod := range l.pods[step] {
		if l.isLatest(step, pod) && holdsAll(pod) {
			return true
		}
	}
	return false
}

// postpone lets a request be tried again later, where that can help.
func (l *loop) postpone(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !l.isRetryable(err):
		return l.explainGone(ctx, err)
	}
	l.retry = time.Now().Add(l.backoff.Step())
	l.observe(Event{Kind: RunDisturbed, Detail: err.Error()})
	return nil
}

// wake is when to go on although nothing has happened.
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

// stop tells the agents to stop, and deletes the Jobs that are not committed. It is what must happen after Ctrl-C too, so it has a short time of its own.
func (l *loop) stop(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	brief, told := context.WithTimeout(ctx, 5*time.Second) // Redis may be what is away
	defer told()
	return errors.Join(
		l.store.Cancel(brief),
		l.deleteJobs(ctx, func(job *batchv1.Job) bool {
			phase := l.known[job.Labels[StepLabel]]
			return phase == committed || phase == failed
		}),
	)
}
