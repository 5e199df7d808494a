package engine

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Evictions. The kubelet evicts a pod that exceeds one of its limits, and pods of a node that is short of disk or memory. The Job
// controller replaces both without counting them: the former because the agent was stopped before its command had ended, the latter because they are
// marked as a disruption. A command that writes too much would fill one node after another. So an eviction because of the pod's own limit
// counts as a retry, and a pod that nodes have evicted maxNodeEvictions times has failed. An index of a fan-out step is then one of its failed indexes.
// Kubernetes does not know that, and continues to replace its pods until the step has ended, so it may commit after all.

// maxNodeEvictions is the number of evictions by nodes that were short of something, after which a step, or an index, has failed.
const maxNodeEvictions = 3

// isEvicted reports whether the kubelet has ended a pod whose containers had started. A pod that a node did not admit was not evicted.
func isEvicted(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed && pod.Status.Reason == workflow.ReasonEvicted && hasStarted(pod)
}

// findDisruptionTarget returns the condition with which Kubernetes marks that a disruption ends a pod; nil if there is none.
func findDisruptionTarget(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if condition := &pod.Status.Conditions[i]; condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return condition
		}
	}
	return nil
}

// handleEviction counts an eviction, because of which the step may have failed.
func (l *loop) handleEviction(step string, pod *corev1.Pod) {
	if !isEvicted(pod) || !l.isLatest(step, pod) {
		return
	}
	if !l.evicted[pod.UID] {
		l.evicted[pod.UID] = true
		l.reportEvent(workflow.RunDisturbed, step, fmt.Sprintf("pod %s was evicted: %s", pod.Name, pod.Status.Message))
	}
	if !l.isOverEvicted(step, pod.Labels[indexLabel]) {
		return
	}
	index, err := strconv.Atoi(pod.Labels[indexLabel])
	if err != nil { // it has no indexes
		l.state.markUnconfirmed(step, l.state.latestAttempt(step), failureReason{workflow.ReasonEvicted, pod.Status.Message})
		return
	}
	if l.overEvicted[step] == nil {
		l.overEvicted[step] = map[int]string{}
	}
	l.overEvicted[step][index] = pod.Status.Message
	l.hints.expect(commitName(pod)) // it has failed unless it has committed already
}

// isOverEvicted reports whether the pods of a step, or of one of its indexes, were evicted too often.
func (l *loop) isOverEvicted(step, index string) bool {
	byNode, byLimit, failed := 0, 0, 0
	for _, pod := range l.failed[failedKey{step, index}] {
		switch end := newEnd(pod, ""); {
		case !l.isLatest(step, pod):
		case isEvicted(pod) && findDisruptionTarget(pod) != nil:
			byNode++
		case isEvicted(pod):
			byLimit++
		case findDisruptionTarget(pod) == nil && !end.IsStop():
			failed++
		}
	}
	return byNode >= maxNodeEvictions || byLimit > 0 && byLimit+failed > int(l.spec.Graph.Step(step).Retries)
}
