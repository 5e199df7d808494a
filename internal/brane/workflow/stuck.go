package workflow

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// How long a pod may stay in a state from which it hardly ever gets out by itself.
const (
	// imageGrace lets a registry hiccup pass: the kubelet tries again after 10 s and after 20 s more.
	imageGrace = 35 * time.Second
	// scheduleGrace lets an autoscaler bring a node, which takes it minutes.
	scheduleGrace = 5 * time.Minute
)

// stuck is a pod that does not get on.
type stuck struct {
	since   time.Time
	grace   time.Duration
	reason  string // Kubernetes' own word, for example ImagePullBackOff
	message string
}

// noteStuck notes that a pod does not get on, or that it does again.
func (l *loop) noteStuck(step string, pod *corev1.Pod, now time.Time) {
	found, ok := stuckPod(pod)
	if !ok {
		delete(l.stuck, step)
		return
	}
	found.since = now
	// ErrImagePull and ImagePullBackOff take turns: the first of them starts the clock. The first message says more than "back-off".
	if before, known := l.stuck[step]; known && before.grace == found.grace {
		found = before
	}
	l.stuck[step] = found
}

func stuckPod(pod *corev1.Pod) (stuck, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return stuck{grace: scheduleGrace, reason: condition.Reason, message: condition.Message}, true
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, status := range statuses {
			if status.State.Waiting == nil {
				continue
			}
			switch waiting := status.State.Waiting; waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError", "RegistryUnavailable", "ImageInspectError", "RunContainerError":
				return stuck{grace: imageGrace, reason: waiting.Reason, message: waiting.Message}, true
			case "InvalidImageName", "ErrImageNeverPull":
				return stuck{reason: waiting.Reason, message: waiting.Message}, true
			}
		}
	}
	return stuck{}, false
}

// giveUpStuck suspects the steps whose pods have been stuck for too long.
func (l *loop) giveUpStuck(now time.Time) (look bool) {
	for step, s := range l.stuck {
		if now.Sub(s.since) >= s.grace && l.suspect(step, l.attempts[step], suspicion{s.reason, s.message}) {
			look = true
		}
	}
	return look
}
