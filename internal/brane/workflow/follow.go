package workflow

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// The signals that the loop takes, beside files.Event.
type (
	jobChanged struct{ job *batchv1.Job }
	jobDeleted struct{ job *batchv1.Job }
	podChanged struct{ pod *corev1.Pod }
	disturbed  struct{ err error }
)

// signals is the one stream in which all that happens arrives. It is closed when ctx has ended and all its sources have.
type signals struct{ all <-chan any }

// follow starts the followers of Redis' events and of the run's Jobs and Pods; they end with ctx.
func (l *loop) follow(ctx context.Context) signals {
	all := make(chan any)
	send := func(signal any) {
		select {
		case all <- signal:
		case <-ctx.Done():
		}
	}
	failed := func(err error) { send(disturbed{err}) }
	labels := RunLabel + "=" + l.ID
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
			Deleted: func(*corev1.Pod) {}, // the Job controller has the say: it makes another, or fails the Job
			Failed:  failed,
		}))
	})
	go func() {
		sources.Wait()
		close(all)
	}()
	return signals{all}
}

// take takes one signal into account and says whether the commits are worth reading now.
func (l *loop) take(ctx context.Context, signal any) (look bool) {
	switch signal := signal.(type) {
	case files.Event:
		return true
	case podChanged:
		return l.takePod(signal.pod)
	case jobChanged:
		return l.takeJob(ctx, signal.job)
	case jobDeleted:
		l.takeDeleted(ctx, signal.job.Labels[StepLabel])
	case disturbed:
		if signal.err == nil || ctx.Err() != nil {
			return false
		}
		l.observe(Event{Kind: RunDisturbed, Detail: signal.err.Error()})
		// The namespace is gone, or the account's right to look: nothing that is waited for will be seen.
		return apierrors.IsForbidden(signal.err) || apierrors.IsUnauthorized(signal.err)
	}
	return false
}

// takeDeleted ends a step whose Job has gone before the step was committed.
func (l *loop) takeDeleted(ctx context.Context, step string) {
	if l.known[step] == started && l.readCommits(ctx) == nil {
		l.fail(l.failure(ctx, step, l.named(step), jobDeletedReason, errVanished.Error())) // unless it is committed now
	}
}

// missJobs looks for Jobs that were deleted before a watch had told of them: it does not tell of their end either.
func (l *loop) missJobs(ctx context.Context) {
	var jobs batchv1.JobList
	if err := l.Kube.List(ctx, &jobs, l.Namespace, RunLabel+"="+l.ID); err != nil {
		l.observe(Event{Kind: RunDisturbed, Detail: err.Error()})
		return
	}
	there := map[string]bool{}
	for i := range jobs.Items {
		there[jobs.Items[i].Labels[StepLabel]] = true
	}
	for _, step := range l.Graph.order {
		if !there[step] {
			l.takeDeleted(ctx, step)
		}
	}
}

// named is no more of a step's Job than its name.
func (l *loop) named(step string) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: objectName("brane", l.ID, step)}}
}

// takePod remembers the latest pod of a step. That the step's container has ended well is a hint to look for its commit: it comes a second before
// the pod's phase and two before the Job's end, and Redis' announcement may have been lost.
func (l *loop) takePod(pod *corev1.Pod) (look bool) {
	step := pod.Labels[StepLabel]
	if known := l.pods[step]; known != nil && known.UID != pod.UID && pod.CreationTimestamp.Before(&known.CreationTimestamp) {
		return false
	}
	l.pods[step] = pod
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

// takeJob: a Job that has failed ends its step; one that is complete has a commit, or somebody has emptied Redis.
func (l *loop) takeJob(ctx context.Context, job *batchv1.Job) (look bool) {
	step := job.Labels[StepLabel]
	if l.known[step] != started {
		return false
	}
	condition, isFailed := jobFailed(job)
	complete := job.Status.CompletionTime != nil
	if !isFailed && !complete {
		return false
	}
	if err := l.readCommits(ctx); err != nil {
		return true // the loop reads again and reports
	}
	switch {
	case l.known[step] == committed:
	case isFailed:
		l.fail(l.failure(ctx, step, job, condition.Reason, condition.Message))
	default:
		l.fail(l.failure(ctx, step, job, "CommitMissing", fmt.Sprintf("the Job is complete, but Redis has no commit of step %q; somebody may have deleted the run's keys", step)))
	}
	return false
}
