package engine

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// Signals of the loop, in addition to files.Event.
type (
	jobChanged  struct{ job *batchv1.Job }
	jobDeleted  struct{ job *batchv1.Job }
	podChanged  struct{ pod *corev1.Pod }
	podDeleted  struct{ pod *corev1.Pod }
	watchFailed struct{ err error }
)

// podsByUID are pods of one step.
type podsByUID map[types.UID]*corev1.Pod

// failedKey selects the failed pods of an index of a step, or of a step without indexes.
type failedKey struct{ step, index string }

// signals is the channel in which everything arrives that the loop has to handle, and the goroutines that send it.
type signals struct {
	all     chan any
	senders sync.WaitGroup
	slots   chan struct{} // holds one value for each diagnosis in progress
}

// signalBuffer is the number of signals that arrive while the loop handles others, so that it handles them together.
const signalBuffer = 1024

func newSignals() *signals {
	return &signals{all: make(chan any, signalBuffer), slots: make(chan struct{}, diagnosisLimit)}
}

// startSender starts a goroutine with a function that sends signals until ctx ends. Only the loop calls it.
func (s *signals) startSender(ctx context.Context, run func(send func(any))) {
	s.senders.Go(func() {
		run(func(signal any) {
			select {
			case s.all <- signal:
			case <-ctx.Done():
			}
		})
	})
}

// waitForSenders waits until all senders have ended, after their context has.
func (s *signals) waitForSenders() { s.senders.Wait() }

// startWatching starts to follow the events of Redis and the watches of the run's Jobs and Pods, until ctx ends.
func (l *loop) startWatching(ctx context.Context) {
	client, namespace, labels := l.clients.Kube, l.spec.Namespace, l.spec.Ref().StepsSelector()
	l.signals.startSender(ctx, func(send func(any)) {
		for event := range l.results.Files().Events(ctx, files.Steps) {
			send(event)
		}
	})
	l.signals.startSender(ctx, func(send func(any)) {
		failed := func(err error) { send(watchFailed{err}) }
		failed(kube.Follow(ctx, client, &batchv1.JobList{}, namespace, labels, kube.Follower[*batchv1.Job]{
			Trim:    trimJob,
			Changed: func(job *batchv1.Job) { send(jobChanged{job}) },
			Deleted: func(job *batchv1.Job) { send(jobDeleted{job}) },
			Failed:  failed,
		}))
	})
	l.signals.startSender(ctx, func(send func(any)) {
		failed := func(err error) { send(watchFailed{err}) }
		failed(kube.Follow(ctx, client, &corev1.PodList{}, namespace, labels, kube.Follower[*corev1.Pod]{
			Trim:    trimPod,
			Changed: func(pod *corev1.Pod) { send(podChanged{pod}) },
			Deleted: func(pod *corev1.Pod) { send(podDeleted{pod}) },
			Failed:  failed,
		}))
	})
}

// handleSignal handles one signal.
func (l *loop) handleSignal(ctx context.Context, signal any) error {
	switch signal := signal.(type) {
	case files.Event:
		l.handleEvent(signal)
	case podChanged:
		l.handlePod(signal.pod)
	case podDeleted:
		l.isDeleted[signal.pod.UID] = true // its last known state may be that it runs
		l.rememberPod(signal.pod)
		l.hints.expect(commitName(signal.pod)) // it may have ended while the watch was broken
		l.clearPodTimer(signal.pod)            // the Job controller decides: it creates another pod, or fails the Job
	case jobChanged:
		l.handleJob(signal.job)
	case jobDeleted:
		job := keyOfJob(signal.job)
		l.hints.expect(job.step)
		l.state.markUnconfirmed(job.step, job.number, vanished)
	case watchFailed:
		return l.handleWatchError(ctx, signal.err)
	case diagnosed:
		l.handleDiagnosis(ctx, signal)
	}
	return nil
}

// handleEvent handles an announcement. Those without a step mean that others may have been lost.
func (l *loop) handleEvent(event files.Event) {
	if event.Step == "" {
		l.hints.expectAll()
		return
	}
	l.hints.expect(event.Step)
}

// handleWatchError handles an error of a watch, which is opened again automatically. A denied watch may mean that the namespace is gone.
func (l *loop) handleWatchError(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil {
		l.reportEvent(workflow.RunDisturbed, "", err.Error())
	}
	if !kube.IsDenied(err) {
		return nil
	}
	l.hints.expectAll()
	return l.detectChangedJobs(ctx)
}

// handlePod remembers a pod of a step. A main container that has succeeded is a hint to read the commit: it comes one second before the
// phase of the pod and two before the end of the Job, and the announcement of Redis may have been lost.
func (l *loop) handlePod(pod *corev1.Pod) {
	step := l.rememberPod(pod)
	if isKeptBySidecar(pod) && !l.released[pod.UID] {
		l.kept[pod.UID] = pod
		l.hints.expect(commitName(pod))
	}
	if l.state.phaseOf(step) != running {
		return
	}
	if l.isLatest(step, pod) {
		l.updatePodTimer(step, pod, time.Now())
	}
	l.handleEviction(step, pod)
	if end := findStepEnd(pod); end != nil && end.ExitCode == 0 {
		l.hints.expect(commitName(pod))
	}
}

// commitName returns the name under which a pod commits: that of its step, or of its index.
func commitName(pod *corev1.Pod) string {
	step := pod.Labels[workflow.StepLabel]
	if index, err := strconv.Atoi(pod.Labels[indexLabel]); err == nil {
		return workflow.IndexKey(step, index)
	}
	return step
}

// rememberPod stores the state of a pod, and returns its step.
func (l *loop) rememberPod(pod *corev1.Pod) (step string) {
	step = pod.Labels[workflow.StepLabel]
	l.labelIndex(pod)
	if l.pods[step] == nil {
		l.pods[step], l.active[step] = podsByUID{}, podsByUID{}
	}
	l.recordMove(l.pods[step][pod.UID], pod)
	l.recordTermination(pod, time.Now())
	l.pods[step][pod.UID] = pod
	if pod.Status.Phase == corev1.PodFailed {
		key := failedKey{step, pod.Labels[indexLabel]}
		if l.failed[key] == nil {
			l.failed[key] = podsByUID{}
		}
		l.failed[key][pod.UID] = pod
	}
	if isPodRunning(pod) && pod.DeletionTimestamp == nil && !l.isDeleted[pod.UID] {
		l.active[step][pod.UID] = pod
	} else {
		delete(l.active[step], pod.UID)
	}
	return step
}

// handleJob handles a change of a Job. A Job that has failed will not commit any more; a complete Job has a commit, unless keys in Redis
// were deleted.
func (l *loop) handleJob(job *batchv1.Job) {
	of := keyOfJob(job)
	l.recordFailedIndexes(of, job)
	l.recordFailing(of, job)
	if l.state.phaseOf(of.step) == running && l.state.latestAttempt(of.step) == of.number {
		l.reportWaiting(of.step, DescribeSuspension(job))
	}
	if condition, isFailed := FindJobFailure(job); isFailed {
		l.hints.expect(of.step)
		l.state.markUnconfirmed(of.step, of.number, failureReason{condition.Reason, condition.Message})
		return
	}
	if job.Status.CompletionTime != nil {
		l.hints.expect(of.step)
		l.state.markUnconfirmed(of.step, of.number, failureReason{
			reasonCommitMissing, fmt.Sprintf("the Job is complete, but Redis has no commit of step %q; the keys of the run may have been deleted", of.step),
		})
	}
}

// detectChangedJobs looks for Jobs whose end or deletion no watch has reported: one that was deleted before a watch had reported it, or one that has ended while
// the watch is open but delivers nothing.
func (l *loop) detectChangedJobs(ctx context.Context) error {
	jobs, err := l.listJobs(ctx)
	switch {
	case err == nil:
		l.deniedSince = time.Time{}
		for i := range jobs {
			if isJobOver(&jobs[i]) {
				l.handleJob(&jobs[i])
			}
		}
		for _, step := range l.state.listMissing(parseAttempts(jobs)) {
			l.state.markUnconfirmed(step, l.state.latestAttempt(step), vanished)
		}
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !l.isRetryable(err):
		return l.explainGone(ctx, err)
	}
	l.reportEvent(workflow.RunDisturbed, "", err.Error())
	return nil
}

// listJobs lists the existing Jobs of the run.
func (l *loop) listJobs(ctx context.Context) ([]batchv1.Job, error) {
	var jobs batchv1.JobList
	if err := l.clients.Kube.List(ctx, &jobs, l.spec.Namespace, l.spec.Ref().StepsSelector()); err != nil {
		return nil, fmt.Errorf("list the Jobs of run %q in namespace %q: %w", l.spec.ID, l.spec.Namespace, err)
	}
	return jobs.Items, nil
}

// parseAttempts returns the attempts of Jobs.
func parseAttempts(jobs []batchv1.Job) (attempts []attempt) {
	for i := range jobs {
		attempts = append(attempts, parseAttempt(&jobs[i]))
	}
	return attempts
}

// keyOfJob returns which attempt a Job is.
func keyOfJob(job *batchv1.Job) attemptKey {
	return attemptKey{job.Labels[workflow.StepLabel], attemptNumber(job.Labels)}
}

// parseAttempt returns the attempt of a Job, with what its agents know.
func parseAttempt(job *batchv1.Job) attempt {
	_, isFailed := FindJobFailure(job)
	of := attempt{
		step: job.Labels[workflow.StepLabel], number: attemptNumber(job.Labels), isOver: isFailed || IsJobStopped(job) || job.DeletionTimestamp != nil,
		hasFailed:  isFailed && job.DeletionTimestamp == nil,
		isComplete: job.Status.CompletionTime != nil,
	}
	if len(job.OwnerReferences) > 0 {
		of.record = job.OwnerReferences[0].UID
	}
	of.agent, _ = jobspec.FindAgentStep(job) // the zero value matches no step
	of.indexes = of.agent.Indexes.List()
	if job.Spec.Completions != nil {
		of.completions = int(*job.Spec.Completions)
	}
	if job.Spec.ActiveDeadlineSeconds != nil {
		of.timeout = *job.Spec.ActiveDeadlineSeconds
	}
	return of
}

// rememberIndexes remembers which indexes of a fan-out step an attempt runs.
func (l *loop) rememberIndexes(of attempt) {
	if len(of.indexes) > 0 {
		l.indexes[of.key()] = of.indexes
	}
}

// indexLabel is the index of its step that a pod runs. It exists only in the pods that the loop keeps: Kubernetes has the completion index of the Job,
// which may run only some of the indexes.
const indexLabel = "brane/index"

// labelIndex sets the index of a pod of an Indexed Job.
func (l *loop) labelIndex(pod *corev1.Pod) {
	completion, err := strconv.Atoi(pod.Labels[batchv1.JobCompletionIndexAnnotation])
	if err != nil {
		return
	}
	index := l.translateIndex(attemptKey{pod.Labels[workflow.StepLabel], attemptNumber(pod.Labels)}, completion)
	pod.Labels[indexLabel] = strconv.Itoa(index)
}

// translateIndex returns the index of a step that a completion index of an attempt stands for.
func (l *loop) translateIndex(of attemptKey, completion int) int {
	if indexes := l.indexes[of]; completion < len(indexes) {
		return indexes[completion]
	}
	return completion
}

// attemptNumber returns the attempt to which a Job or Pod with these labels belongs.
func attemptNumber(labels map[string]string) int {
	number, _ := strconv.Atoi(labels[workflow.AttemptLabel]) // package jobspec has written it
	return number
}

// reasonCommitMissing is the reason if a Job is complete without a commit.
const reasonCommitMissing = "CommitMissing"

// vanished is the reason if a Job was deleted before its step was committed. Whether its command had ended is not known.
var vanished = failureReason{workflow.ReasonJobDeleted, "the Job was deleted before its step had stored its files"}

// isJobOver reports whether a Job has failed, is complete or was stopped by the loop.
func isJobOver(job *batchv1.Job) bool {
	_, isFailed := FindJobFailure(job)
	return isFailed || IsJobStopped(job) || job.Status.CompletionTime != nil
}

// FindJobFailure returns the condition of a Job that has failed.
func FindJobFailure(job *batchv1.Job) (condition batchv1.JobCondition, isFailed bool) {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Status == corev1.ConditionTrue {
			return condition, true
		}
	}
	return batchv1.JobCondition{}, false
}
