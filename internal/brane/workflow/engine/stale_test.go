package engine

import (
	"net/http"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// What the watches deliver can be older than what has happened, and one of them can be ahead of the other.

// A pod that was deleted while its watch was broken is delivered in its last known state. It does not run any more.
func TestDeletedPodDoesNotRun(t *testing.T) {
	l := newTestLoop(t, workflow.Step{Name: "a"})
	l.state.recordJob("a", 1)
	l.startPodTimer("a")
	labels := map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: "1"}
	old := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "old", UID: "old", Labels: labels}, Spec: corev1.PodSpec{NodeName: "n"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
			{Name: workflow.StepContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
		}},
	}
	replacement := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "new", UID: "new", Labels: labels},
		Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available"},
		}},
	}
	for _, signal := range []any{podChanged{old}, podDeleted{old}} {
		if err := l.handleSignal(t.Context(), signal); err != nil {
			t.Fatal(err)
		}
	}
	if _, isWaiting := l.timers["a"]; !isWaiting || l.hasPod("a") {
		t.Error("nothing waits for the pod that replaces the deleted one")
	}
	if err := l.handleSignal(t.Context(), podChanged{replacement}); err != nil {
		t.Fatal(err)
	}
	if later := time.Now().Add(2 * l.timers["a"].timeout); l.hasMoved(later, l.timers["a"].timeout) {
		t.Error("the run moves, although its only pod waits for a node")
	}
}

// A pod of a lost attempt can be delivered again, for example when the pods are listed again. It does not let the next attempt fail.
func TestPodOfAnEarlierAttemptHasNoTimer(t *testing.T) {
	l := newTestLoop(t, workflow.Step{Name: "a"})
	podOf := func(attempt string, state corev1.ContainerState) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: attempt, UID: types.UID(attempt), Labels: map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: attempt}},
			Spec:       corev1.PodSpec{NodeName: "n"},
			Status:     corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: workflow.StepContainer, State: state}}},
		}
	}
	old := podOf("1", corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}})
	old.DeletionTimestamp = new(metav1.Now())
	fresh := podOf("2", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	fresh.Status.Phase = corev1.PodRunning
	l.state.recordJob("a", 1)
	l.state.abandonAttempt("a", 1)
	l.state.recordJob("a", 2)
	l.startPodTimer("a")
	for _, pod := range []*corev1.Pod{fresh, old} {
		if err := l.handleSignal(t.Context(), podChanged{pod}); err != nil {
			t.Fatal(err)
		}
	}
	if timer, isWaiting := l.timers["a"]; isWaiting {
		t.Errorf("attempt 2 runs, but the step has the timer %+v", timer)
	}
}

// The watch of Jobs can report failed indexes before that of pods shows that their commands have never started.
func TestFailedIndexesBeforeTheirPods(t *testing.T) {
	failed := "3"
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", UID: types.UID("p"), Labels: map[string]string{
			workflow.StepLabel: "a", workflow.AttemptLabel: "1", batchv1.JobCompletionIndexAnnotation: failed,
		}},
		Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfcpu", Message: "Node didn't have enough resource: cpu"},
	}
	for name, test := range map[string]struct {
		pods []corev1.Pod
		want phase
	}{"its command has not started": {[]corev1.Pod{pod}, running}, "its pod is gone": {nil, unconfirmed}} {
		l := newTestLoop(t, workflow.Step{Name: "a", Completions: 10})
		l.clients.Kube = newFakeClient(t, func(http.ResponseWriter, *http.Request) any { return corev1.PodList{Items: test.pods} })
		l.state.recordJob("a", 1)
		job := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: "1"}}, Status: batchv1.JobStatus{FailedIndexes: &failed},
		}
		if err := l.handleSignal(t.Context(), jobChanged{job}); err != nil {
			t.Fatal(err)
		}
		l.limitFailedIndexes(t.Context())
		if got := l.state.phaseOf("a"); got != test.want {
			t.Errorf("%s: the phase is %d, not %d: %v", name, got, test.want, l.state.steps["a"].reason)
		}
	}
}

// What has failed in an attempt that was lost with its node is no failure of the next attempt, also if the old Job is delivered again.
func TestFailedIndexesOfALostAttempt(t *testing.T) {
	t.Parallel()
	l, _, _ := openLoop(t, workflow.Step{Name: "a", Completions: 10, MaxFailedIndexes: 1})
	failed := "3,5"
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: "1"}}, Status: batchv1.JobStatus{FailedIndexes: &failed},
	}
	l.state.abandonAttempt("a", 1)
	l.handleJob(job)
	if err := l.startSteps(t.Context(), []string{"a"}); err != nil || l.state.latestAttempt("a") != 2 {
		t.Fatalf("attempt %d has started, %v", l.state.latestAttempt("a"), err)
	}
	l.handleJob(job)
	if l.limitFailedIndexes(t.Context()); l.state.phaseOf("a") != running {
		t.Errorf("the new attempt has failed: %v", l.state.steps["a"].reason)
	}
}
