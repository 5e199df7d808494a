package engine

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// newEnd reads how the containers of a pod ended; a Job only shows that its pods failed. reason is the reason of the step's failure.
func newEnd(pod *corev1.Pod, reason string) workflow.End {
	end := workflow.End{
		Pod: pod.Name, Node: pod.Spec.NodeName, Index: pod.Labels[indexLabel], Reason: reason, Deleted: pod.DeletionTimestamp != nil,
	}
	if reason != workflow.ReasonJobDeleted && reason != batchv1.JobReasonDeadlineExceeded {
		if why, message := findDisruption(pod); why != "" {
			end.Reason, end.Cause = why, message
		}
	}
	for _, status := range listOwnFirst(pod) {
		if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 {
			end.Container = status.Name
			if end.Reason != batchv1.JobReasonDeadlineExceeded && end.Reason != workflow.ReasonJobDeleted { // then the container was only stopped
				end.Code, end.Agent = int(ended.ExitCode), agent.IsMessage(ended.Message)
				if end.Cause == "" { // otherwise the exit code follows from it
					end.Reason = ended.Reason
				}
			}
			return end
		}
		if status.State.Waiting != nil && status.State.Waiting.Reason == reason {
			end.Container = status.Name
		}
	}
	return end
}

// findDisruption returns why a pod was ended by the kubelet or by Kubernetes, or was not admitted by the kubelet; empty if it was not.
func findDisruption(pod *corev1.Pod) (reason, message string) {
	if condition := findDisruptionTarget(pod); condition != nil {
		reason, message = condition.Reason, condition.Message
	}
	if pod.Status.Reason != "" { // Evicted, Terminated, Preempting, NodeShutdown, OutOfcpu, …
		reason, message = pod.Status.Reason, pod.Status.Message
	}
	if reason == "" {
		return "", ""
	}
	return reason, cmp.Or(strings.TrimSuffix(strings.TrimSpace(message), "."), "its message is empty")
}

// listOwnFirst returns the status of the containers that can end a step: the step's own ones, and if they have not ended, the init
// containers that were added to the pod. Other sidecars do not matter.
func listOwnFirst(pod *corev1.Pod) (statuses []corev1.ContainerStatus) {
	var added []corev1.ContainerStatus
	for _, status := range pod.Status.InitContainerStatuses {
		if status.Name == workflow.StageContainer {
			statuses = append(statuses, status)
		} else {
			added = append(added, status)
		}
	}
	if own := findStepStatus(pod); own != nil {
		statuses = append(statuses, *own)
	}
	if hasStepStarted(pod) {
		return statuses
	}
	return append(statuses, added...)
}

// findCommandTimes returns when the command of a step's latest attempt started and ended, according to its pod; of a fan-out step, the
// first start and the last end.
func (l *loop) findCommandTimes(step string, pod *corev1.Pod) (from, to time.Time) {
	pods := []*corev1.Pod{pod}
	if l.spec.Graph.Step(step).IsIndexed() {
		pods = nil
		for _, pod := range l.pods[step] {
			if l.isLatest(step, pod) {
				pods = append(pods, pod)
			}
		}
	}
	for _, pod := range pods {
		if newEnd(pod, "").IsStagingIn() {
			continue
		}
		status, began, ended := findStepStatus(pod), metav1.Time{}, metav1.Time{}
		switch {
		case status == nil:
		case status.State.Terminated != nil:
			began, ended = status.State.Terminated.StartedAt, status.State.Terminated.FinishedAt
		case status.State.Running != nil:
			began = status.State.Running.StartedAt
		}
		if !began.IsZero() && (from.IsZero() || began.Time.Before(from)) {
			from = began.Time
		}
		if ended.After(to) {
			to = ended.Time
		}
	}
	return from.UTC(), to.UTC()
}

// isLatest reports whether a pod belongs to the step's latest attempt.
func (l *loop) isLatest(step string, pod *corev1.Pod) bool {
	return pod.Labels[workflow.AttemptLabel] == strconv.Itoa(l.state.latestAttempt(step))
}

// rankPods returns the pods that show why a step has failed: of its latest attempt the one that does not start, else the last that failed,
// else the last; then all others that failed, the latest first. A pod that was stopped has not failed, unless the Job stopped it because
// its time was over.
func (l *loop) rankPods(step, reason string) []*corev1.Pod {
	rank := func(pod *corev1.Pod) int {
		end := newEnd(pod, "")
		own := findStepEnd(pod)
		hasSucceeded := own != nil && own.ExitCode == 0 // even if a sidecar has failed
		isBad := isEvicted(pod) || (pod.Status.Phase == corev1.PodFailed && !hasSucceeded || end.Code != 0) && (!end.IsStop() || reason == batchv1.JobReasonDeadlineExceeded)
		switch latest := l.isLatest(step, pod); {
		case latest && l.timers[step].pod == pod.UID && l.timers[step].reason == reason:
			return 0
		case latest && isBad:
			return 1
		case latest:
			return 2
		case isBad:
			return 3
		}
		return 4
	}
	pods := slices.SortedFunc(maps.Values(l.pods[step]), func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	first := true
	return slices.DeleteFunc(pods, func(pod *corev1.Pod) bool {
		keep := rank(pod) == 1 || rank(pod) == 3 || first && rank(pod) < 4
		first = false
		return !keep
	})
}
