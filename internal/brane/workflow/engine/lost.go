package engine

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Lost pods. The pods of a node that does not answer are deleted after some minutes, but they stay until the kubelet confirms that they have
// ended. The Job controller creates no other pod until then, and does not end a Job whose timeout has passed. So a step whose only pods are
// lost gets another attempt, or fails if its Job is failing. If the lost pod commits after all, the first commit is used.

// defaultLostAfter is how long after its grace period a pod is lost if its node is not ready.
const defaultLostAfter = 2 * time.Minute

// recordTermination records since when a pod is being deleted.
func (l *loop) recordTermination(pod *corev1.Pod, now time.Time) {
	if _, known := l.terminating[pod.UID]; pod.DeletionTimestamp != nil && !known {
		l.terminating[pod.UID] = now
	}
	if !isPodRunning(pod) {
		delete(l.terminating, pod.UID)
	}
}

// isOverdue reports whether a pod should have ended a while ago.
func (l *loop) isOverdue(pod *corev1.Pod, now time.Time) bool {
	since, found := l.terminating[pod.UID]
	if !found || pod.DeletionGracePeriodSeconds == nil {
		return false
	}
	grace := time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	return now.Sub(since) >= grace+cmp.Or(l.options.LostAfter, defaultLostAfter)
}

// findLostPod returns a pod of a step's latest attempt that should have ended, if no other pod of it progresses.
func (l *loop) findLostPod(step string, now time.Time) (lost *corev1.Pod) {
	for _, pod := range l.pods[step] {
		switch {
		case !isPodRunning(pod) || !l.isLatest(step, pod) || l.isDeleted[pod.UID]:
		case !l.isOverdue(pod, now):
			return nil
		default:
			lost = pod
		}
	}
	return lost
}

// replaceLostPods starts another attempt of the steps whose pods are lost.
func (l *loop) replaceLostPods(ctx context.Context, now time.Time) {
	for _, step := range l.spec.Graph.Steps() {
		pod := l.findLostPod(step, now)
		if pod == nil || l.state.phaseOf(step) != running || !l.isNodeLost(ctx, pod.Spec.NodeName) {
			continue
		}
		number := l.state.latestAttempt(step)
		why := describeLostPod(pod, now.Sub(l.terminating[pod.UID]))
		if target, isFailing := l.failing[step]; isFailing {
			target.message += "; " + why
			l.state.markUnconfirmed(step, number, target)
			continue
		}
		if l.state.abandonAttempt(step, number) {
			delete(l.timers, step)
			l.requestCleanup(l.newJob(step, strconv.Itoa(number)), nil)
			l.reportEvent(workflow.StepLost, step, why+". The step is started again, and the files of the pod that commits first are used")
		}
	}
}

// describeLostPod describes a pod that should have ended, and what to do about it.
func describeLostPod(pod *corev1.Pod, since time.Duration) string {
	return fmt.Sprintf("pod %s has been terminating for %s on node %s, which is not ready. %s",
		pod.Name, since.Round(time.Second), pod.Spec.NodeName, adviseOutOfService(pod.Spec.NodeName))
}

// adviseOutOfService describes how to let Kubernetes remove the pods of a node that does not answer.
func adviseOutOfService(node string) string {
	return fmt.Sprintf("If the node is shut down, let Kubernetes remove its pods and detach their volumes: kubectl taint nodes %s %s=nodeshutdown:NoExecute", node, corev1.TaintNodeOutOfService)
}

// isNodeLost reports whether a node is not ready. If this process has no permission to read nodes, a pod that does not end counts as proof.
func (l *loop) isNodeLost(ctx context.Context, name string) bool {
	ctx, done := context.WithTimeout(ctx, nodesTimeout)
	defer done()
	node := &corev1.Node{}
	node.Name = name
	err := cmp.Or(l.clients.Nodes, l.clients.Kube).Get(ctx, node)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return true
	case err != nil:
		return false // it is read again at the next resync
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status != corev1.ConditionTrue
		}
	}
	return true
}

// recordFailing records that a Job will fail when all of its pods have ended.
func (l *loop) recordFailing(of attemptKey, job *batchv1.Job) {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailureTarget && condition.Status == corev1.ConditionTrue && of.number == l.state.latestAttempt(of.step) {
			l.failing[of.step] = failureReason{condition.Reason, condition.Message}
		}
	}
}

// podSet is a set of pods.
type podSet map[types.UID]bool
