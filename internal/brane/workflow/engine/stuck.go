package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// stuck is a pod that does not start, or a Job without a pod.
type stuck struct {
	pod     types.UID // empty if there is none yet
	since   time.Time
	timeout time.Duration
	reason  string // Kubernetes' reason, for example ImagePullBackOff; empty if only the events contain it
	message string
}

// awaitPod starts to wait for the first pod of a step's Job, or for the replacement of a pod that has ended.
func (l *loop) awaitPod(step string) {
	l.stuck[step] = stuck{since: time.Now(), timeout: l.Timeouts.StartupOrDefault()}
}

// noteStuck records whether a pod is stuck.
func (l *loop) noteStuck(step string, pod *corev1.Pod, now time.Time) {
	found, ok := stuckPod(l.Timeouts, pod)
	if !ok {
		l.noteGone(pod)
		return
	}
	found.since, found.pod = now, pod.UID
	switch before := l.stuck[step]; {
	case before.pod == "": // it is the first
	case before.pod == pod.UID && before.timeout == found.timeout && (before.reason == "") == (found.reason == ""):
		// ErrImagePull and ImagePullBackOff alternate: the first of them starts the timeout, and its message is more helpful than "back-off".
		found = before
	case before.pod != pod.UID && l.Graph.Step(step).IsIndexed() && (before.reason != "" || found.reason == ""):
		return // another index is stuck already, and its timeout passes first
	}
	l.stuck[step] = found
}

// noteGone records that a pod has started, has ended, or is gone. If none is left, the Job has to create another, which may be denied.
func (l *loop) noteGone(pod *corev1.Pod) {
	step := pod.Labels[workflow.StepLabel]
	s, found := l.stuck[step]
	isIts := found && (s.pod == pod.UID || s.pod == "" && l.isLatest(step, pod))
	switch isOwed := l.known[step] == started && l.isLatest(step, pod) && !l.hasPod(step); {
	case isOwed && found && s.pod == "": // it is waited for already
	case isOwed && (isIts || !found):
		l.awaitPod(step)
	case isIts:
		delete(l.stuck, step)
	}
}

// hasPod reports whether a pod of the step's latest attempt has not ended.
func (l *loop) hasPod(step string) bool {
	for _, pod := range l.pods[step] {
		ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded || pod.DeletionTimestamp != nil
		if !ended && l.isLatest(step, pod) {
			return true
		}
	}
	return false
}

func stuckPod(t workflow.PodTimeouts, pod *corev1.Pod) (stuck, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return stuck{timeout: t.SchedulingOrDefault(), reason: condition.Reason, message: condition.Message}, true
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, status := range statuses {
			if status.State.Waiting == nil {
				continue
			}
			switch waiting := status.State.Waiting; waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError", "RegistryUnavailable", "ImageInspectError", "RunContainerError":
				return stuck{timeout: t.StartupOrDefault(), reason: waiting.Reason, message: waiting.Message}, true
			case "InvalidImageName", "ErrImageNeverPull":
				return stuck{reason: waiting.Reason, message: waiting.Message}, true
			}
		}
	}
	return stuck{timeout: t.StartupOrDefault()}, pod.Status.Phase == corev1.PodPending && !begun(pod)
}

// begun reports whether a container of the pod has started: then it has a node, its volumes and its sandbox.
func begun(pod *corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses), func(status corev1.ContainerStatus) bool {
		return status.State.Running != nil || status.State.Terminated != nil
	})
}

// giveUpStuck suspects the steps whose pods have been stuck for too long.
func (l *loop) giveUpStuck(ctx context.Context, now time.Time) (look bool) {
	for step, s := range l.stuck {
		if l.known[step] != started || now.Sub(s.since) < s.timeout {
			continue
		}
		if s.reason == "" {
			s = l.askWhy(ctx, step, s, now)
			l.stuck[step] = s
		}
		if s.reason != "" && l.suspect(step, l.attempts[step], suspicion{s.reason, s.message}) {
			look = true
		}
	}
	return look
}

// askWhy reads from the events why a step has no pod, or why its pod does not start, when its timeout has passed.
func (l *loop) askWhy(ctx context.Context, step string, s stuck, now time.Time) stuck {
	name := l.jobName(step)
	if pod := l.pods[step][s.pod]; pod != nil {
		name = pod.Name
	}
	reason, message := l.hindrance(ctx, name)
	// Other pods may release it, like a node.
	isTaken := reason == "FailedAttachVolume" || strings.Contains(message, "exceeded quota")
	switch {
	case reason == "":
		s.since = now // the pod is only slow
	case isTaken && s.timeout < l.Timeouts.SchedulingOrDefault():
		s.timeout = l.Timeouts.SchedulingOrDefault()
	default:
		s.reason, s.message = reason, message
	}
	return s
}

// hindrance returns the last event of a Job or a pod if that is a hindrance. It is empty while there is progress, such as the pull of a large image.
func (r *Run) hindrance(ctx context.Context, name string) (reason, message string) {
	ctx, done := context.WithTimeout(ctx, askLimit)
	defer done()
	var events corev1.EventList
	_ = r.Kube.Events(ctx, &events, r.Namespace, name) // without an answer the events are read again later
	var last corev1.Event
	for _, event := range events.Items {
		if !event.LastTimestamp.Before(&last.LastTimestamp) {
			last = event
		}
	}
	if !slices.Contains(workflow.BlockingReasons, last.Reason) {
		return "", ""
	}
	return last.Reason, last.Message
}
