package engine

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// podTimer limits how long a pod may be in a state that hardly ever ends by itself, or a Job without a pod.
type podTimer struct {
	pod     types.UID // empty if there is none yet
	since   time.Time
	timeout time.Duration
	reason  string // Kubernetes' reason, for example ImagePullBackOff; empty if only the events contain it
	message string
}

// precedence orders the timers of a step's pods: a pod with a reason decides when the step fails, but a lack of room is no failure while
// another index starts.
func (t podTimer) precedence() int {
	switch {
	case t.reason == "":
		return 1
	case mayFreeRoom(t.reason, t.message):
		return 0
	}
	return 2
}

// startPodTimer starts to wait for the first pod of a step's Job, or for the replacement of a pod that has ended.
func (l *loop) startPodTimer(step string) {
	l.timers[step] = podTimer{since: time.Now(), timeout: l.spec.Timeouts.StartupOrDefault()}
}

// updatePodTimer records whether a pod does not start.
func (l *loop) updatePodTimer(step string, pod *corev1.Pod, now time.Time) {
	found, isPending := newPodTimer(l.spec.Timeouts, pod)
	if !isPending {
		l.clearPodTimer(pod)
		return
	}
	if gates := DescribeGates(pod); gates != "" {
		l.reportWaiting(step, gates)
		delete(l.timers, step) // the actor that has set them decides
		return
	}
	found.since, found.pod = now, pod.UID
	switch before := l.timers[step]; {
	case before.pod == "": // it is the first
	case before.pod == pod.UID && before.timeout == found.timeout && (before.reason == "") == (found.reason == ""):
		// ErrImagePull and ImagePullBackOff alternate: the first of them starts the timeout, and its message is more helpful than
		// "back-off".
		found = before
	case before.pod != pod.UID && l.spec.Graph.Step(step).IsIndexed() && before.precedence() >= found.precedence():
		return // the pod of another index has not started either, and its timeout passes first
	}
	l.timers[step] = found
}

// clearPodTimer records that a pod has started, has ended, or is gone. If none is left, the Job has to create another, which may be denied.
func (l *loop) clearPodTimer(pod *corev1.Pod) {
	step := pod.Labels[workflow.StepLabel]
	timer, found := l.timers[step]
	isItsTimer := found && (timer.pod == pod.UID || timer.pod == "" && l.isLatest(step, pod))
	switch needsPod := l.state.phaseOf(step) == running && l.isLatest(step, pod) && !l.hasPod(step); {
	case needsPod && found && timer.pod == "": // it is waited for already
	case needsPod && (isItsTimer || !found):
		l.startPodTimer(step)
	case isItsTimer:
		delete(l.timers, step)
	}
}

// hasPod reports whether a pod of the step's latest attempt has not ended.
func (l *loop) hasPod(step string) bool {
	for _, pod := range l.active[step] {
		if l.isLatest(step, pod) {
			return true
		}
	}
	return false
}

// newPodTimer returns the timer of a pod that does not start.
func newPodTimer(timeouts workflow.PodTimeouts, pod *corev1.Pod) (timer podTimer, isPending bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return podTimer{timeout: timeouts.SchedulingOrDefault(), reason: condition.Reason, message: condition.Message}, true
		}
	}
	if hasStepStarted(pod) {
		return podTimer{timeout: timeouts.StartupOrDefault()}, false // whatever its sidecars do
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		_, isEngine := pod.Labels[workflow.EngineLabel]
		isPrecondition := isEngine || status.Name == workflow.StepContainer || slices.ContainsFunc(pod.Spec.InitContainers, func(init corev1.Container) bool {
			return init.Name == status.Name
		})
		if status.State.Waiting == nil || !isPrecondition {
			continue
		}
		switch waiting := status.State.Waiting; waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError",
			"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff": // of a native sidecar
			return podTimer{timeout: timeouts.StartupOrDefault(), reason: waiting.Reason, message: waiting.Message}, true
		case "InvalidImageName", "ErrImageNeverPull":
			return podTimer{reason: waiting.Reason, message: waiting.Message}, true
		}
	}
	return podTimer{timeout: timeouts.StartupOrDefault()}, pod.Status.Phase == corev1.PodPending && !hasStarted(pod)
}

// hasStarted reports whether a container of the pod has started: then it has a node, its volumes and its sandbox.
func hasStarted(pod *corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses), func(status corev1.ContainerStatus) bool {
		return status.State.Running != nil || status.State.Terminated != nil
	})
}

// FindPendingReason returns why a pod does not start, as far as its status contains that; empty if it does not.
func FindPendingReason(pod *corev1.Pod) (reason, message string) {
	timer, _ := newPodTimer(workflow.PodTimeouts{}, pod)
	return timer.reason, timer.message
}

// expirePodTimers handles the steps whose pods have not started in time. If the status of the pod contains no reason, the events are read
// in the background.
func (l *loop) expirePodTimers(ctx context.Context, now time.Time) {
	for step, timer := range l.timers {
		if l.state.phaseOf(step) != running || now.Sub(timer.since) < timer.timeout {
			continue
		}
		if timer.reason == "" {
			l.startDiagnosis(ctx, step)
			continue
		}
		if mayFreeRoom(timer.reason, timer.message) && l.hasMoved(now, timer.timeout) {
			continue
		}
		l.state.markUnconfirmed(step, l.state.latestAttempt(step), failureReason{timer.reason, timer.message})
	}
}
