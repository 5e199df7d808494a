package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// Sidecars. Webhooks add containers to pods. A step is judged by its own containers; what else runs in the pod does not matter. The kubelet
// stops native sidecars, which are init containers that restart, when the step's container has ended. It does not stop other containers,
// which are called classic sidecars: the pod keeps running, and with it the resources are kept, and the Job waits. So the loop deletes the
// pod of a step that has failed, and the Job controller then handles the exit code of the step as that of any failed pod. The Job of a
// committed step is deleted, and so is the pod of a committed index: it fails if the sidecar does not exit with 0, and the Job's failure
// policy ends the index then instead of creating another pod.

// findStepStatus returns the status of the step's container; nil if there is none yet.
func findStepStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == workflow.StepContainer {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// findStepEnd returns how the step's container has ended; nil if it has not.
func findStepEnd(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	if status := findStepStatus(pod); status != nil {
		return status.State.Terminated
	}
	return nil
}

// hasStepStarted reports whether the step's container has started.
func hasStepStarted(pod *corev1.Pod) bool {
	status := findStepStatus(pod)
	return status != nil && (status.State.Running != nil || status.State.Terminated != nil)
}

// isKeptBySidecar reports whether the step's container has ended, but another one keeps the pod running.
func isKeptBySidecar(pod *corev1.Pod) bool {
	return isPodRunning(pod) && pod.DeletionTimestamp == nil && findStepEnd(pod) != nil &&
		slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool {
			return status.Name != workflow.StepContainer && status.State.Terminated == nil
		})
}

// hasClassicSidecar reports whether the pod has another container that the kubelet does not stop.
func hasClassicSidecar(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(container corev1.Container) bool { return container.Name != workflow.StepContainer })
}

// releaseKeptPods requests the deletion of the pods that only a sidecar keeps, after the commits were read.
func (l *loop) releaseKeptPods() {
	for uid, pod := range l.kept {
		delete(l.kept, uid)
		l.released[uid] = true
		if step := pod.Labels[workflow.StepLabel]; l.state.phaseOf(step) == committed {
			l.requestCleanup(l.newJob(step, pod.Labels[workflow.AttemptLabel]), nil)
			continue
		}
		l.requestCleanup(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}, nil)
	}
}

// releaseSidecars deletes the Jobs of committed steps whose sidecars would keep them, at the end of an execution: the status of their pods
// may not show yet that the step's container has ended. This has to happen after Ctrl-C as well, so it has a separate short timeout.
func (l *loop) releaseSidecars(ctx context.Context) {
	for step, pods := range l.pods {
		for _, pod := range pods {
			if l.state.phaseOf(step) == committed && isPodRunning(pod) && hasClassicSidecar(pod) {
				l.requestCleanup(l.newJob(step, pod.Labels[workflow.AttemptLabel]), nil)
			}
		}
	}
	l.nextCleanup = time.Time{}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), optionalTimeout)
	defer done()
	l.cleanUp(ctx)
}

// newJob returns the Job of an attempt for a request that needs only its name.
func (l *loop) newJob(step, attempt string) *batchv1.Job {
	number, _ := strconv.Atoi(attempt) // package jobspec has written it
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: l.spec.Namespace, Name: jobspec.JobName(l.spec.ID, step, number)}}
}

// updateTimeouts changes the timeout of the Jobs that continue from an earlier execution to that of their steps now: another timeout is no reason to run a step
// again.
func (l *loop) updateTimeouts(jobs []attempt) {
	for _, job := range jobs {
		timeout := int64(l.spec.Graph.Step(job.step).Timeout.Seconds())
		if !l.state.phaseOf(job.step).hasJob() || job.number != l.state.latestAttempt(job.step) || job.timeout == timeout || job.agent.Ahead {
			continue
		}
		patch := fmt.Sprintf(`{"spec":{"activeDeadlineSeconds":%d}}`, timeout)
		if timeout == 0 {
			patch = `{"spec":{"activeDeadlineSeconds":null}}`
		}
		l.requestCleanup(l.newJob(job.step, strconv.Itoa(job.number)), []byte(patch))
	}
}

// cleanup is a change of an object that does not need to succeed immediately: a patch, or if that is empty, the deletion.
type cleanup struct {
	object kube.Object
	patch  []byte
}

// cleanupPause is the pause after a cleanup that has failed.
const cleanupPause = 5 * time.Second

// requestCleanup adds a cleanup, which the loop carries out and repeats until it succeeds.
func (l *loop) requestCleanup(object kube.Object, patch []byte) {
	l.cleanups[kube.Describe(object)] = cleanup{object, patch}
}

// cleanUp carries out the cleanups. Those that fail and may succeed later are repeated after a while.
func (l *loop) cleanUp(ctx context.Context) {
	if len(l.cleanups) == 0 || time.Now().Before(l.nextCleanup) {
		return
	}
	if err := l.lease.Verify(ctx); err != nil { // what another process holds now is not to be changed
		l.nextCleanup = time.Now().Add(cleanupPause)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(l.cleanups)) {
		change := l.cleanups[name]
		var err error
		if change.patch != nil {
			err = l.clients.Kube.MergePatch(ctx, change.object, change.patch)
		} else {
			err = l.clients.Kube.Delete(ctx, change.object)
		}
		switch {
		case err == nil, apierrors.IsNotFound(err):
			delete(l.cleanups, name)
			continue
		case IsRetryable(err):
			l.nextCleanup = time.Now().Add(cleanupPause)
		default:
			delete(l.cleanups, name)
		}
		l.reportEvent(workflow.RunDisturbed, "", fmt.Sprintf("stop, change or delete %s: %v", name, err))
	}
}

// stopJobPatch makes a Job stop its pods and create no others. The Job stays for inspection.
var stopJobPatch = []byte(`{"spec":{"parallelism":0}}`)

// IsJobStopped reports whether the loop has stopped a Job.
func IsJobStopped(job *batchv1.Job) bool {
	return job.Spec.Parallelism != nil && *job.Spec.Parallelism == 0
}

// recordFailedIndexes records which indexes of a fan-out step have failed according to its Job.
func (l *loop) recordFailedIndexes(of attemptKey, job *batchv1.Job) {
	if job.Status.FailedIndexes == nil || of.number != l.state.latestAttempt(of.step) || l.failedIndexes[of.step] == *job.Status.FailedIndexes {
		return
	}
	l.failedIndexes[of.step] = *job.Status.FailedIndexes
	for _, index := range l.listFailedIndexes(of.step) {
		l.hints.expect(workflow.IndexKey(of.step, index))
	}
}

// limitFailedIndexes records the fan-out steps of which more indexes have failed than are allowed, or of which none is left that has not ended, after the
// commits were read. The Job cannot count them: it counts committed indexes whose sidecar did not exit with 0 as well, and does not count evictions.
func (l *loop) limitFailedIndexes(ctx context.Context) {
	steps := maps.Clone(l.overEvicted)
	for step := range l.failedIndexes {
		steps[step] = l.overEvicted[step]
	}
	for step := range steps {
		if _, isFailed := l.findIndexFailure(step); !isFailed || l.state.phaseOf(step) != running {
			continue
		}
		l.refreshPods(ctx, step) // the watch of Jobs may be ahead of that of pods, which shows what has never started
		if why, isFailed := l.findIndexFailure(step); isFailed {
			l.state.markUnconfirmed(step, l.state.latestAttempt(step), why)
		}
	}
}

// findIndexFailure returns why a fan-out step has failed because of its failed indexes, if it has.
func (l *loop) findIndexFailure(step string) (why failureReason, isFailed bool) {
	of := l.spec.Graph.Step(step)
	limit, ended, count := int(of.MaxFailedIndexes), l.merger.known[step], 0
	var evicted *string
	for _, index := range l.listFailedIndexes(step) {
		if l.merger.isIndexCommitted(step, index) {
			continue
		}
		ended++
		message, isEvicted := l.overEvicted[step][index]
		if isEvicted {
			evicted = &message
		}
		if _, isUnstarted := l.wasUnstarted(step, strconv.Itoa(index)); isEvicted || !isUnstarted {
			count++
		}
	}
	switch {
	case evicted != nil && (ended >= of.Completions || limit == 0):
		return failureReason{workflow.ReasonEvicted, *evicted}, true
	case count > limit:
		return failureReason{batchv1.JobReasonMaxFailedIndexesExceeded, fmt.Sprintf("%d indexes have failed, and max_failed_indexes is %d", count, limit)}, true
	}
	return failureReason{}, false
}

// listFailedIndexes returns the indexes of a fan-out step that have failed according to its Job, or were evicted too often.
func (l *loop) listFailedIndexes(step string) (indexes []int) {
	for _, completion := range parseIndexes(l.failedIndexes[step]) {
		indexes = append(indexes, l.translateIndex(attemptKey{step, l.state.latestAttempt(step)}, completion))
	}
	indexes = slices.AppendSeq(indexes, maps.Keys(l.overEvicted[step]))
	slices.Sort(indexes)
	return slices.Compact(indexes)
}

// parseIndexes parses the indexes in the status of a Job, for example "1,3-5".
func parseIndexes(text string) (indexes []int) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, lastErr := strconv.Atoi(to)
		if err != nil || lastErr != nil {
			continue // the API server has written it
		}
		for index := first; index <= last; index++ {
			indexes = append(indexes, index)
		}
	}
	return indexes
}
