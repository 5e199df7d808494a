package workflow

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// How long a pod may stay in a state from which it hardly ever gets out by itself, where the run does not say.
const (
	// imageGrace lets a registry hiccup pass: the kubelet tries again after 10 s and after 20 s more.
	imageGrace = 35 * time.Second
	// scheduleGrace lets an autoscaler bring a node, which takes it minutes.
	scheduleGrace = 5 * time.Minute
)

// Grace is how long a pod may stay in such a state. Zero means 35 s for images and what else a container needs to start, and 5 minutes for a node.
type Grace struct{ Image, Scheduling time.Duration }

func (g Grace) image() time.Duration      { return cmp.Or(g.Image, imageGrace) }
func (g Grace) scheduling() time.Duration { return cmp.Or(g.Scheduling, scheduleGrace) }

// stuck is a pod that does not get on.
type stuck struct {
	pod     types.UID
	since   time.Time
	grace   time.Duration
	reason  string // Kubernetes' own word, for example ImagePullBackOff
	message string
}

// noteStuck notes that a pod does not get on, or that it does again.
func (l *loop) noteStuck(step string, pod *corev1.Pod, now time.Time) {
	found, ok := l.Grace.stuckPod(pod)
	if !ok {
		l.noteGone(pod)
		return
	}
	found.since, found.pod = now, pod.UID
	before, known := l.stuck[step]
	switch {
	case known && before.pod != pod.UID && l.Graph.steps[step].many():
		return // one of the many is stuck already, and will be the first whose time has passed
	case known && before.pod == pod.UID && before.grace == found.grace:
		// ErrImagePull and ImagePullBackOff take turns: the first of them starts the clock. The first message says more than "back-off".
		found = before
	}
	l.stuck[step] = found
}

// noteGone notes that a pod gets on, or is not there any more.
func (l *loop) noteGone(pod *corev1.Pod) {
	if step := pod.Labels[StepLabel]; l.stuck[step].pod == pod.UID {
		delete(l.stuck, step)
	}
}

func (g Grace) stuckPod(pod *corev1.Pod) (stuck, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return stuck{grace: g.scheduling(), reason: condition.Reason, message: condition.Message}, true
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, status := range statuses {
			if status.State.Waiting == nil {
				continue
			}
			switch waiting := status.State.Waiting; waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError", "RegistryUnavailable", "ImageInspectError", "RunContainerError":
				return stuck{grace: g.image(), reason: waiting.Reason, message: waiting.Message}, true
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
