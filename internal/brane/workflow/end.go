package workflow

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
)

// End describes how one pod of a step ended, or why it does not start.
type End struct {
	Pod       string // empty if there was none
	Node      string
	Index     string // of a fan-out step
	Container string // the container that ended, or did not start
	Reason    string // Kubernetes' reason: Error, OOMKilled, ImagePullBackOff, DeadlineExceeded, …
	Code      int    // exit code of the container; 0 if it did not end by itself
	Agent     bool   // the exit code is the agent's, which has written a termination message
	Deleted   bool   // the pod was deleted
	Log       []string
}

func (e End) where() string {
	text := "pod " + e.Pod
	if e.Index != "" {
		text += fmt.Sprintf(" (index %s)", e.Index)
	}
	if e.Node != "" {
		text += " on node " + e.Node
	}
	return text
}

// stagingIn reports whether the command did not start because its files could not be staged in.
func (e End) stagingIn() bool {
	return e.Code != 0 && (e.Container == stageContainer || e.Agent && e.Code == agent.ExitStageIn) && !e.isStop()
}

// isStop reports whether the container was stopped from outside before its command had ended. The agent replaces these exit codes if the command returns them itself.
func (e End) isStop() bool { return e.Code == agent.ExitStopped || e.Code == agent.ExitCancelled }

func (e End) what() string {
	switch {
	case e.Code == agent.ExitCancelled:
		return fmt.Sprintf("it was stopped because the run was cancelled (exit code %d)", e.Code)
	case e.Code == agent.ExitStopped && e.Deleted:
		return fmt.Sprintf("it was stopped before its command had ended, because the pod was deleted (exit code %d)", e.Code)
	case e.Code == agent.ExitStopped:
		return fmt.Sprintf("it was stopped before its command had ended (exit code %d)", e.Code)
	case e.stagingIn():
		return fmt.Sprintf("its files could not be staged in (exit code %d)", e.Code)
	case e.Agent && e.Code == agent.ExitStageOut:
		return fmt.Sprintf("its files could not be stored (exit code %d)", e.Code)
	case e.Agent && e.Code == agent.ExitNoResult:
		return fmt.Sprintf("its package returned no usable result (exit code %d)", e.Code)
	case e.Code != 0 && e.Deleted:
		return fmt.Sprintf("the command failed with exit code %d (%s) when the pod was deleted", e.Code, e.Reason)
	case e.Code != 0:
		return fmt.Sprintf("the command failed with exit code %d (%s)", e.Code, e.Reason)
	}
	return e.Reason
}

// endOf reads how the containers of a pod ended; a Job only shows that its pods failed. reason is the reason of the step's failure.
func endOf(pod *corev1.Pod, reason string) End {
	end := End{Pod: pod.Name, Node: pod.Spec.NodeName, Index: pod.Labels[batchv1.JobCompletionIndexAnnotation], Reason: reason, Deleted: pod.DeletionTimestamp != nil}
	if pod.Status.Reason != "" && reason != jobDeletedReason {
		end.Reason = pod.Status.Reason // Evicted, NodeLost, …
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 {
			end.Container = status.Name
			if end.Reason != batchv1.JobReasonDeadlineExceeded && end.Reason != jobDeletedReason { // then the container was only stopped
				end.Code, end.Reason, end.Agent = int(ended.ExitCode), ended.Reason, agent.IsMessage(ended.Message)
			}
			return end
		}
		if status.State.Waiting != nil && status.State.Waiting.Reason == reason {
			end.Container = status.Name
		}
	}
	return end
}

// ran returns when the command of a step's latest attempt started and ended, according to its pod; of a fan-out step, the first start and the last end.
func (l *loop) ran(step string, pod *corev1.Pod) (from, to time.Time) {
	pods := []*corev1.Pod{pod}
	if l.Graph.steps[step].many() {
		pods = nil
		for _, pod := range l.pods[step] {
			if l.isLatest(step, pod) {
				pods = append(pods, pod)
			}
		}
	}
	for _, pod := range pods {
		if endOf(pod, "").stagingIn() {
			continue
		}
		for _, status := range pod.Status.ContainerStatuses {
			began, ended := metav1.Time{}, metav1.Time{}
			switch state := status.State; {
			case state.Terminated != nil:
				began, ended = state.Terminated.StartedAt, state.Terminated.FinishedAt
			case state.Running != nil:
				began = state.Running.StartedAt
			}
			if !began.IsZero() && (from.IsZero() || began.Time.Before(from)) {
				from = began.Time
			}
			if ended.After(to) {
				to = ended.Time
			}
		}
	}
	return from.UTC(), to.UTC()
}

// isLatest reports whether a pod belongs to the step's latest attempt.
func (l *loop) isLatest(step string, pod *corev1.Pod) bool {
	return pod.Labels[AttemptLabel] == strconv.Itoa(l.attempts[step])
}

// badPods returns the pods that show why a step has failed: of its latest attempt the one that does not start, else the last that failed, else the last; then
// all others that failed, the latest first. A pod that was stopped has not failed, unless the Job stopped it because its time was over.
func (l *loop) badPods(step, reason string) []*corev1.Pod {
	rank := func(pod *corev1.Pod) int {
		end := endOf(pod, "")
		isBad := (pod.Status.Phase == corev1.PodFailed || end.Code != 0) && (!end.isStop() || reason == batchv1.JobReasonDeadlineExceeded)
		switch latest := l.isLatest(step, pod); {
		case latest && l.stuck[step].pod == pod.UID:
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
