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
)

// Signals of the loop, in addition to files.Event.
type (
	jobChanged struct{ job *batchv1.Job }
	jobDeleted struct{ job *batchv1.Job }
	podChanged struct{ pod *corev1.Pod }
	podDeleted struct{ pod *corev1.Pod }
	disturbed  struct{ err error }
)

// follow starts to follow the events of Redis and the watches of the run's Jobs and Pods. Everything arrives in one channel, which is closed when ctx and all of them
// have ended.
func (l *loop) follow(ctx context.Context) <-chan any {
	all := make(chan any)
	send := func(signal any) {
		select {
		case all <- signal:
		case <-ctx.Done():
		}
	}
	failed := func(err error) { send(disturbed{err}) }
	labels := l.stepLabels()
	var sources sync.WaitGroup
	sources.Go(func() {
		for event := range l.store.Events(ctx) {
			send(event)
		}
	})
	sources.Go(func() {
		failed(kube.Follow(ctx, l.Kube, &batchv1.JobList{}, l.Namespace, labels, kube.Follower[*batchv1.Job]{
			Changed: func(job *batchv1.Job) { send(jobChanged{job}) },
			Deleted: func(job *batchv1.Job) { send(jobDeleted{job}) },
			Failed:  failed,
		}))
	})
	sources.Go(func() {
		failed(kube.Follow(ctx, l.Kube, &corev1.PodList{}, l.Namespace, labels, kube.Follower[*corev1.Pod]{
			Changed: func(pod *corev1.Pod) { send(podChanged{pod}) },
			Deleted: func(pod *corev1.Pod) { send(podDeleted{pod}) },
			Failed:  failed,
		}))
	})
	go func() {
		sources.Wait()
		close(all)
	}()
	return all
}

// take handles one signal and reports whether the commits should be read now.
func (l *loop) take(ctx context.Context, signal any) (look bool, err error) {
	switch signal := signal.(type) {
	case files.Event:
		return true, nil
	case podChanged:
		return l.takePod(signal.pod), nil
	case podDeleted:
		l.remember(signal.pod)
		l.noteGone(signal.pod) // the Job controller decides: it creates another pod, or fails the Job
	case jobChanged:
		return l.takeJob(signal.job), nil
	case jobDeleted:
		job := attemptOf(signal.job)
		return l.suspect(job.step, job.number, vanished), nil
	case disturbed:
		return l.takeDisturbance(ctx, signal.err)
	}
	return false, nil
}

// takeDisturbance handles an error of a watch, which is opened again automatically. A denied watch may mean that the namespace is gone.
func (l *loop) takeDisturbance(ctx context.Context, err error) (look bool, gone error) {
	if err != nil && ctx.Err() == nil {
		l.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
	}
	if !kube.IsDenied(err) {
		return false, nil
	}
	return true, l.missJobs(ctx)
}

// takePod remembers a pod of a step. A main container that has succeeded is a hint to read the commits: it comes one second before the phase of the pod and two before
// the end of the Job, and the announcement of Redis may have been lost.
func (l *loop) takePod(pod *corev1.Pod) (look bool) {
	step := l.remember(pod)
	if l.known[step] != started {
		return false
	}
	l.noteStuck(step, pod, time.Now())
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Terminated != nil && status.State.Terminated.ExitCode == 0 {
			return true
		}
	}
	return false
}

// remember stores the state of a pod, and returns its step.
func (l *loop) remember(pod *corev1.Pod) (step string) {
	step = pod.Labels[workflow.StepLabel]
	if l.pods[step] == nil {
		l.pods[step] = map[types.UID]*corev1.Pod{}
	}
	l.pods[step][pod.UID] = pod
	return step
}

// takeJob handles a change of a Job. A Job that has failed will not commit any more; a complete Job has a commit, unless keys in Redis were deleted.
func (l *loop) takeJob(job *batchv1.Job) (look bool) {
	of := attemptOf(job)
	if condition, isFailed := jobFailed(job); isFailed {
		return l.suspect(of.step, of.number, suspicion{condition.Reason, condition.Message})
	}
	if job.Status.CompletionTime != nil {
		return l.suspect(of.step, of.number, suspicion{"CommitMissing", fmt.Sprintf("the Job is complete, but Redis has no commit of step %q; the keys of the run may have been deleted", of.step)})
	}
	return false
}

// missJobs looks for Jobs that were deleted before a watch had reported them, because it does not report their deletion either.
func (l *loop) missJobs(ctx context.Context) error {
	jobs, err := l.listAttempts(ctx)
	switch {
	case err == nil:
		l.deniedSince = time.Time{}
		for _, step := range l.missing(jobs) {
			l.suspect(step, l.attempts[step], vanished)
		}
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !l.isRetryable(err):
		return l.explainGone(ctx, err)
	}
	l.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
	return nil
}

// listAttempts lists the existing Jobs of the run.
func (l *loop) listAttempts(ctx context.Context) ([]attempt, error) {
	var jobs batchv1.JobList
	if err := l.Kube.List(ctx, &jobs, l.Namespace, l.stepLabels()); err != nil {
		return nil, fmt.Errorf("list the Jobs of run %q in namespace %q: %w", l.ID, l.Namespace, err)
	}
	var attempts []attempt
	for i := range jobs.Items {
		attempts = append(attempts, attemptOf(&jobs.Items[i]))
	}
	return attempts, nil
}

// attemptOf returns the attempt of a Job.
func attemptOf(job *batchv1.Job) attempt {
	number, _ := strconv.Atoi(job.Labels[workflow.AttemptLabel]) // it was written by this package
	_, isFailed := jobFailed(job)
	return attempt{job.Labels[workflow.StepLabel], number, isFailed || job.DeletionTimestamp != nil}
}

// jobName returns the name of a step's latest Job.
func (l *loop) jobName(step string) string { return jobName(l.ID, step, l.attempts[step]) }

// vanished is the reason if a Job was deleted before its step was committed. Whether its command had ended is not known.
var vanished = suspicion{workflow.ReasonJobDeleted, "the Job was deleted before its step had stored its files"}

// isOver reports whether a Job has failed or is complete.
func isOver(job *batchv1.Job) bool {
	_, isFailed := jobFailed(job)
	return isFailed || job.Status.CompletionTime != nil
}

func jobFailed(job *batchv1.Job) (batchv1.JobCondition, bool) {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Status == corev1.ConditionTrue {
			return condition, true
		}
	}
	return batchv1.JobCondition{}, false
}
