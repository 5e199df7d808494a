package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

const (
	// resyncInterval is the interval at which commits and Jobs are read without an event, in case an event was lost.
	resyncInterval = 30 * time.Second
	// optionalTimeout limits requests for logs and events, which are optional.
	optionalTimeout = 10 * time.Second
)

// retryBackoff is the pause before a request that the API server did not answer is repeated: from 250 ms up to 5 s.
var retryBackoff = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Cap: 5 * time.Second, Steps: 10}

// loop executes the steps: it updates their state from the events of Redis and the watches on Jobs and Pods, and acts on it. Only its own
// goroutine changes it.
type loop struct {
	*Execution
	template jobspec.Template
	state    *state
	commits  map[string]files.Record // of committed steps
	merger   *indexMerger
	hints    commitHints
	reuser   *reuser
	starts   map[string]stepStart // of the steps whose needs have ended
	reused   map[string]bool      // steps whose commits were there when they were ready
	// firstAttempts are the first attempts of steps that this execution has started.
	firstAttempts map[string]int
	// indexes are those that the Jobs of fan-out steps run, by their completion indexes, if these are not all.
	indexes     map[attemptKey][]int
	pods        map[string]podsByUID     // of each step, all that the watches have delivered
	active      map[string]podsByUID     // of each step, those of them that run or wait, and are not being deleted
	failed      map[failedKey]podsByUID  // those of them that have failed
	timers      map[string]podTimer      // of steps whose pod has not started
	diagnosing  map[string]bool          // steps whose events are being read
	kept        podsByUID                // which only a sidecar keeps running, until the commits are read
	released    podSet                   // pods that were deleted because of that
	isDeleted   podSet                   // pods that do not exist any more
	terminating map[types.UID]time.Time  // since when pods are being deleted
	failing     map[string]failureReason // of steps whose Jobs fail when their pods have ended
	evicted     podSet                   // pods whose eviction was reported
	unstarted   map[string]unstartedStep
	cleanups    map[string]cleanup // by the description of the object
	nextCleanup time.Time
	// overEvicted are the indexes of fan-out steps that were evicted too often, with the last message of the kubelet.
	overEvicted map[string]map[int]string
	// failedIndexes are those of fan-out steps, as their Jobs count them.
	failedIndexes map[string]string
	signals       *signals
	failures      []*workflow.Failure
	wasCancelled  bool         // an earlier execution has cancelled the run
	nextResync    time.Time    // when to read everything again
	nextRetry     time.Time    // when to repeat a request that the API server did not answer; zero if there is none
	backoff       wait.Backoff // of the next retry
	// deniedSince is when the API server began to deny requests; zero if it does not.
	deniedSince time.Time
	// postponedSince is when the API server began to refuse Jobs of the run; zero if it does not.
	postponedSince time.Time
	// lastMove is when a pod of the run was last seen to run, start or end, or a step was committed.
	lastMove time.Time
	// refusedSince is when a quota began to refuse Jobs; zero if it does not.
	refusedSince time.Time
	deniedJobs   map[string]time.Time // since when the API server has denied the Jobs of steps
	// waiting is what steps wait for as long as another actor wants, as it was last reported.
	waiting map[string]string
	// lastDisturbance is the last error of a request that was repeated.
	lastDisturbance string
}

func newLoop(e *Execution) *loop {
	reuser := newReuser(e.spec.Graph, e.results.Files())
	return &loop{
		Execution: e,
		template:  jobspec.Template{Spec: e.spec, Injection: e.injection, Deadline: e.lease.Deadline(), Owner: e.lease.Owner(), Policies: e.policies, Secrets: e.secrets},
		state:     newState(e.spec.Graph), commits: map[string]files.Record{}, merger: newIndexMerger(e.spec.Graph, e.results.Files(), reuser), hints: newCommitHints(),
		reuser: reuser, starts: map[string]stepStart{}, reused: map[string]bool{}, firstAttempts: map[string]int{}, indexes: map[attemptKey][]int{},
		pods: map[string]podsByUID{}, active: map[string]podsByUID{}, failed: map[failedKey]podsByUID{}, timers: map[string]podTimer{}, diagnosing: map[string]bool{}, waiting: map[string]string{},
		kept: podsByUID{}, released: podSet{}, isDeleted: podSet{}, evicted: podSet{}, unstarted: map[string]unstartedStep{}, deniedJobs: map[string]time.Time{},
		terminating: map[types.UID]time.Time{}, failing: map[string]failureReason{}, cleanups: map[string]cleanup{}, failedIndexes: map[string]string{}, signals: newSignals(), backoff: retryBackoff,
		overEvicted: map[string]map[int]string{},
	}
}

// reportEvent passes an event to the observer of the execution.
func (l *loop) reportEvent(kind workflow.EventKind, step, detail string) {
	if kind == workflow.RunDisturbed || kind == workflow.RunWaits {
		l.lastDisturbance = detail
	}
	l.options.Observe.Report(workflow.Event{Kind: kind, Step: step, Detail: detail})
}

// runSteps returns when the run or ctx has ended. All watches have ended then.
func (l *loop) runSteps(ctx context.Context) error {
	if err := l.recoverProgress(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer l.signals.waitForSenders()
	defer cancel()
	l.startWatching(ctx)
	for {
		l.expirePodTimers(ctx, time.Now())
		if err := l.settleSteps(ctx); err != nil {
			return err
		}
		l.releaseKeptPods()
		l.cleanUp(ctx)
		if err := l.prewarmSteps(ctx); err != nil {
			return err
		}
		decision := l.state.decide()
		if decision.hasEnded {
			return nil
		}
		if len(decision.empty) > 0 {
			if err := l.completeEmptySteps(ctx, decision.empty); err != nil {
				return err
			}
			continue // steps that need them may be ready
		}
		if err := l.startSteps(ctx, l.withoutWaiting(decision.listReady(l.spec.Parallel), time.Now())); err != nil {
			return err
		}
		if l.state.hasUnconfirmed() {
			continue // a Job was refused
		}
		if err := l.waitForPass(ctx, time.Now()); err != nil {
			return err
		}
	}
}

// handleTimer reads again what may have changed without an event, if a resync is due.
func (l *loop) handleTimer(ctx context.Context, now time.Time) error {
	if now.Before(l.nextResync) {
		return nil // a retry or a timeout is due
	}
	l.nextResync = now.Add(resyncInterval)
	l.replaceLostPods(ctx, now)
	l.expectRunning()
	return l.detectChangedJobs(ctx)
}

// recoverProgress finds the results that are stored, and the Jobs that earlier executions have started.
func (l *loop) recoverProgress(ctx context.Context) error {
	if err := l.results.Files().ResetFingerprints(ctx); err != nil {
		return err
	}
	if err := l.settleSteps(ctx); err != nil {
		return err
	}
	l.nextResync = time.Now().Add(resyncInterval)
	if l.lease.Transitions() == 1 {
		return nil // this is the first execution
	}
	var listed []batchv1.Job
	err := l.waitOut(ctx, func() (err error) {
		listed, err = l.listJobs(ctx)
		return err
	})
	if err != nil {
		return err
	}
	jobs := parseAttempts(listed)
	l.hints.expectAll()
	if err := l.settleSteps(ctx); err != nil { // again: a complete Job has a commit, unless the keys of the run have expired
		return err
	}
	var stale []attempt
	for i := range jobs {
		job := &jobs[i]
		job.isOver = job.isComplete || job.isOver && !l.isFinalFailure(*job, time.Now())
		if !job.isOver && l.isStale(*job, time.Now()) {
			job.isOver = true
			stale = append(stale, *job)
		}
	}
	if err := l.stopStale(ctx, stale); err != nil {
		return err
	}
	for _, job := range jobs {
		l.rememberIndexes(job)
		if !job.isOver && !job.hasFailed && l.state.phaseOf(job.step) == failed { // the execution that has stored the failure could not stop it
			l.requestCleanup(l.newJob(job.step, strconv.Itoa(job.number)), stopJobPatch)
		}
	}
	for _, step := range l.state.adoptJobs(jobs) {
		l.startPodTimer(step)
		l.reportEvent(workflow.StepAdopted, step, l.jobName(step))
	}
	l.updateTimeouts(jobs)
	return nil
}

// isStale reports whether what the Job of an earlier execution stores is of no use, or is deleted immediately. The Job of a committed step is stale
// if it has another fingerprint: its command would continue although the step has a result.
func (l *loop) isStale(job attempt, now time.Time) bool {
	isPast := job.agent.Deadline < now.Unix() && l.keptUntil.Before(now) && l.state.phaseOf(job.step) != committed
	// An early Job may belong to a step that must not have one any more, for example because it has a timeout now, which would have begun already.
	isTooEarly := job.agent.Ahead && !l.state.areNeedsCommitted(job.step) && !canPrewarm(l.spec.Graph, job.step)
	return isPast || isTooEarly || !l.matches(job)
}

// stopStale deletes Jobs of earlier executions whose results would be of no use, and waits until their pods have ended, because two pods of one step
// must not run at the same time.
func (l *loop) stopStale(ctx context.Context, stale []attempt) error {
	if len(stale) == 0 {
		return nil
	}
	if err := l.waitOut(ctx, func() error { return l.lease.Verify(ctx) }); err != nil {
		return err
	}
	isStale := map[attemptKey]bool{}
	for _, of := range stale {
		isStale[of.key()] = true
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: l.spec.Namespace, Name: jobspec.JobName(l.spec.ID, of.step, of.number)}}
		if err := l.waitOut(ctx, func() error { return deleteObject(ctx, l.clients.Kube, job) }); err != nil {
			return err
		}
		l.reportEvent(workflow.StepWithdrawn, of.step, job.Name)
	}
	soon, done := context.WithTimeoutCause(ctx, stopTime, errors.New("their node does not answer"))
	defer done()
	isStopping := func(pod *corev1.Pod) bool {
		return isPodRunning(pod) && isStale[attemptKey{pod.Labels[workflow.StepLabel], attemptNumber(pod.Labels)}]
	}
	err := waitForPods(soon, l.clients.Kube, l.spec.Ref(), l.spec.Ref().StepsSelector(), isStopping)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		l.reportEvent(workflow.RunDisturbed, "", err.Error()) // the first commit is used
	}
	return nil
}

// completeEmptySteps commits fan-out steps without indexes. They need no Job.
func (l *loop) completeEmptySteps(ctx context.Context, names []string) error {
	for _, name := range names {
		record, err := l.merger.commitEmptyStep(ctx, name, l.starts[name])
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("commit step %q of run %q, which has no items: %w", name, l.spec.ID, err)
		}
		l.state.recordCommit(name)
		l.commits[name] = record
		l.reportEvent(workflow.StepCommitted, name, "0s")
	}
	return nil
}

// startSteps creates the Jobs of these steps. If the API server does not answer, the request is repeated later: commits arrive through Redis, so a
// run survives a long restart. A Job that the API server does not accept does not keep the others from starting.
func (l *loop) startSteps(ctx context.Context, names []string) error {
	if time.Now().Before(l.nextRetry) {
		return nil
	}
	l.nextRetry = time.Time{}
	if len(names) == 0 {
		l.endPostponement() // what was postponed is not needed any more
		return nil
	}
	if err := l.lease.Check(ctx); workflow.IsLost(err) {
		return err
	} else if err != nil {
		return l.scheduleRetry(ctx, err)
	}
	var postponed error
	for _, name := range names {
		err := l.startStep(ctx, name)
		var refusal *jobRefusal
		switch {
		case err == nil:
			l.endPostponement()
		case !errors.As(err, &refusal):
			if kube.IsDenied(err) && !l.isNewDenial(name, time.Now()) && !l.state.hasJobs() {
				return l.explainGone(ctx, err)
			}
			return l.scheduleRetry(ctx, err)
		case l.mayAcceptLater(ctx, name, refusal, time.Now()):
			postponed = err
		default:
			l.state.refuseJob(name, failureReason{workflow.ReasonJobRefused, refusal.Error()})
			if l.state.phaseOf(name) == unconfirmed && !l.spec.Graph.Step(name).AllowFailure {
				return nil // the run has failed, unless the step is committed
			}
		}
		if postponed != nil && isQuotaRefusal(postponed.Error()) {
			break // it would refuse the others too
		}
	}
	if postponed != nil {
		l.postponeRequest(postponed)
	} else {
		l.endPostponement()
	}
	return nil
}

// startStep creates the next Job of a step. A Job that exists was created by a request whose answer was lost. The error is a [jobRefusal] if it is
// about this Job, and not about the API server.
func (l *loop) startStep(ctx context.Context, name string) error {
	number := l.state.nextAttempt(name, l.lease.Transitions())
	job, err := l.buildJob(name, number)
	if errors.Is(err, jobspec.ErrTooManyNeeds) {
		l.state.forbidPrewarm(name)
		return nil
	}
	if err != nil {
		return &jobRefusal{err}
	}
	if err := l.storeItems(ctx, name); err != nil {
		return err
	}
	kind := workflow.StepStarted
	err = l.clients.Kube.Create(ctx, job)
	if apierrors.IsAlreadyExists(err) {
		kind, err = workflow.StepAdopted, nil
	}
	if err != nil {
		return fmt.Errorf("create the Job of step %q, %s: %w", name, kube.Describe(job), asRefusal(err))
	}
	l.refusedSince = time.Time{}
	delete(l.deniedJobs, name)
	l.rememberIndexes(parseAttempt(job))
	if _, hasStarted := l.firstAttempts[name]; !hasStarted {
		l.firstAttempts[name] = number
	}
	l.state.recordJob(name, number)
	delete(l.failing, name)
	delete(l.failedIndexes, name)
	delete(l.overEvicted, name)
	l.startPodTimer(name)
	l.reportEvent(kind, name, job.Name)
	return nil
}

// buildJob returns the Job of an attempt of a step.
func (l *loop) buildJob(name string, number int) (*batchv1.Job, error) {
	step, err := jobspec.ResolveCall(l.spec, l.spec.Graph.Step(name), l.commits)
	if err != nil {
		return nil, err
	}
	step.Retries = l.retriesOf(name)
	return l.template.BuildStepJob(step, l.newAttempt(name, number))
}

// jobName returns the name of a step's latest Job.
func (l *loop) jobName(step string) string {
	return jobspec.JobName(l.spec.ID, step, l.state.latestAttempt(step))
}

// prewarmSteps creates Jobs one step early if that is configured, and deletes early Jobs that others wait for.
func (l *loop) prewarmSteps(ctx context.Context) error {
	if !l.spec.Prewarm {
		return nil
	}
	names := l.spec.Graph.Steps()
	free := len(names)
	if l.spec.Parallel > 0 {
		free = l.spec.Parallel
		for _, name := range names {
			if l.state.phaseOf(name).hasJob() {
				free--
			}
		}
	}
	begin, withdraw := decidePrewarm(l.state, l.hasAllResources, free)
	for _, step := range withdraw {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: l.spec.Namespace, Name: l.jobName(step)}}
		if err := l.lease.Verify(ctx); err != nil {
			return l.scheduleRetry(ctx, err)
		}
		if err := l.clients.Kube.Delete(ctx, job); err != nil && !apierrors.IsNotFound(err) {
			return l.scheduleRetry(ctx, fmt.Errorf("delete %s, which was created early: %w", kube.Describe(job), err))
		}
		l.state.withdrawPrewarmed(step)
		l.reportEvent(workflow.StepWithdrawn, step, job.Name)
	}
	if len(begin) == 0 {
		return nil // other steps may be postponed
	}
	return l.startSteps(ctx, begin)
}

// nextWake returns when the loop has to continue without a signal.
func (l *loop) nextWake(now time.Time) time.Time {
	at := l.nextResync
	if !l.nextRetry.IsZero() && l.nextRetry.Before(at) {
		at = l.nextRetry
	}
	for step, timer := range l.timers {
		since := timer.since
		if mayFreeRoom(timer.reason, timer.message) && l.lastMove.After(since) {
			since = l.lastMove
		}
		if end := since.Add(timer.timeout); l.state.phaseOf(step) == running && !l.diagnosing[step] && end.Before(at) {
			at = end
		}
	}
	for step, last := range l.unstarted {
		if l.state.phaseOf(step) == pending && last.until.After(now) && last.until.Before(at) {
			at = last.until
		}
	}
	if at.Before(now) {
		return now
	}
	return at
}

// stopSteps cancels the run for its agents, and deletes the Jobs that are not committed, unless another process holds the lease now. This has
// to happen after Ctrl-C as well, so it has a separate short timeout.
func (l *loop) stopSteps(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer done()
	if err := l.verifyLease(ctx); err != nil {
		return fmt.Errorf("stop the running steps: %w", err)
	}
	brief, doneBrief := context.WithTimeout(ctx, 5*time.Second) // Redis may be the part that does not answer
	defer doneBrief()
	return errors.Join(
		l.results.Files().Cancel(brief, l.lease.Transitions()),
		deleteJobs(ctx, l.clients.Kube, l.spec.Ref(), func(job *batchv1.Job) bool {
			phase := l.state.phaseOf(job.Labels[workflow.StepLabel])
			return phase == committed || phase == failed
		}),
	)
}

// buildResult returns the result of the run so far.
func (l *loop) buildResult(ctx context.Context) workflow.Result {
	result := workflow.Result{Steps: map[string]workflow.StepResult{}}
	for _, name := range l.spec.Graph.Steps() {
		switch l.state.phaseOf(name) {
		case committed:
			step := workflow.NewStepResult(l.spec.Graph.Step(name), l.commits[name])
			step.Reused = l.reused[name]
			result.Steps[name] = step
		case running, prewarmed, unconfirmed:
			result.Steps[name] = workflow.StepResult{Status: workflow.Stopped}
		case pending:
			result.Steps[name] = workflow.StepResult{Status: workflow.Skipped}
		case failed: // added with its failure
		}
	}
	for _, failure := range l.failures {
		result.AddFailure(failure, l.spec.Graph.Step(failure.Step).AllowFailure)
	}
	for name, start := range l.starts {
		step := result.Steps[name]
		step.Fingerprint = start.fingerprint
		result.Steps[name] = step
	}
	// This has to happen after Ctrl-C as well, so it has a separate short timeout.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), optionalTimeout)
	defer done()
	if err := l.results.CountAttempts(ctx, &result); err != nil {
		l.reportEvent(workflow.RunDisturbed, "", err.Error())
	}
	return result
}
