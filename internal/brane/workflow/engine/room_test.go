package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Whether a pod or a Job waits for what other pods hold, in the words of Kubernetes 1.37.
func TestMayFreeRoom(t *testing.T) {
	for name, tt := range map[string]struct {
		reason, message string
		want            bool
	}{
		"a full node": {"Unschedulable", "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.", true},
		"a full node beside an unsuitable one": {"Unschedulable", "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector. " +
			"preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.", true},
		"no suitable node": {"Unschedulable", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. " +
			"no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.", false},
		"a node that is too small": {"Unschedulable", "0/12 nodes are available: 12 Insufficient cpu. preemption: 0/12 nodes are available: 12 Preemption is not helpful for scheduling.", false},
		"a node that is drained":   {"Unschedulable", "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.", true},
		"a node that is away": {"Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint(s). " +
			"preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.", true},
		"a node that is away, in the words of Kubernetes 1.30": {"Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }. " +
			"preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.", true},
		"a taint of the administrator, in the words of Kubernetes 1.30": {"Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}. " +
			"preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.", false},
		"a scheduler with other words": {"Unschedulable", "no room", true},
		"a full quota":                 {"FailedCreate", `Error creating: pods "a" is forbidden: exceeded quota: q, requested: cpu=500m,pods=1, used: cpu=2,pods=4, limited: cpu=2,pods=4`, true},
		"a quota that is too small":    {"FailedCreate", `Error creating: pods "a" is forbidden: exceeded quota: q, requested: cpu=4, used: cpu=0, limited: cpu=2`, false},
		"a quota of nothing":           {"FailedCreate", `Error creating: pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0`, false},
		"a volume of another pod":      {"FailedAttachVolume", "Multi-Attach error", true},
		"a node without addresses":     {"FailedCreatePodSandBox", "failed to allocate for range 0: no IP addresses available in range set", true},
		"a node without a network":     {"FailedCreatePodSandBox", "network is not ready: cni plugin not initialized", false},
		"a policy":                     {"FailedCreate", "admission webhook denied the request", false},
		"an image":                     {"ErrImagePull", "not found", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mayFreeRoom(tt.reason, tt.message); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// A pod without room fails only when nothing of the run has moved for the scheduling timeout, and the loop does not spin until then.
func TestRoomIsWaitedForWhileTheRunMoves(t *testing.T) {
	pod := func(name, step, version string) *corev1.Pod {
		p := endedPod(name, 0, "", 0, "")
		p.ResourceVersion, p.Labels = version, map[string]string{workflow.StepLabel: step, workflow.AttemptLabel: "1"}
		return p
	}
	runs, waits := pod("runs", "a", "1"), pod("waits", "b", "1")
	runs.Status.Phase = corev1.PodRunning
	runs.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: workflow.StepContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	waits.Spec.NodeName, waits.Status.Phase = "", corev1.PodPending
	waits.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "full"}}
	l := newTestLoop(t, workflow.Step{Name: "a"}, workflow.Step{Name: "b"})
	timeout := l.spec.Timeouts.SchedulingOrDefault()
	for _, p := range []*corev1.Pod{runs, waits} {
		l.state.recordJob(p.Labels[workflow.StepLabel], 1)
		l.handlePod(p)
	}
	for range 3 {
		now := l.timers["b"].since.Add(10 * timeout)
		if l.expirePodTimers(t.Context(), now); l.state.hasUnconfirmed() {
			t.Fatal("the pod fails although another runs")
		}
		l.nextResync = now.Add(10 * timeout)
		if wake := l.nextWake(now); wake.Sub(now) < timeout {
			t.Errorf("the loop wakes after %s", wake.Sub(now))
		}
	}
	ended := pod("runs", "a", "2")
	ended.Status.Phase = corev1.PodSucceeded
	l.handlePod(ended)
	l.state.recordCommit("a")
	if l.expirePodTimers(t.Context(), l.lastMove.Add(timeout-time.Second)); l.state.hasUnconfirmed() {
		t.Error("the pod fails before the timeout has passed after the end of the other")
	}
	l.handlePod(waits) // delivered again
	if l.expirePodTimers(t.Context(), l.lastMove.Add(timeout)); l.state.phaseOf("b") != unconfirmed {
		t.Errorf("the pod waits for ever: %+v", l.timers["b"])
	}
}

// A pod without an image fails although another index waits for room, which the first one holds.
func TestAReasonPrecedesTheLackOfRoom(t *testing.T) {
	pod := func(name, reason string) *corev1.Pod {
		p := endedPod(name, 0, "", 0, "")
		p.Status.Phase, p.Labels = corev1.PodPending, map[string]string{workflow.StepLabel: "fan", workflow.AttemptLabel: "1"}
		if reason == corev1.PodReasonUnschedulable {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason}}
		} else {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: workflow.StepContainer, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
		}
		return p
	}
	l := newTestLoop(t, workflow.Step{Name: "fan", Completions: 3})
	l.state.recordJob("fan", 1)
	for _, p := range []*corev1.Pod{pod("a", "Unschedulable"), pod("b", "ErrImagePull"), pod("c", "Unschedulable")} {
		l.handlePod(p)
	}
	if timer := l.timers["fan"]; timer.pod != "b" {
		t.Errorf("the timer is %+v", timer)
	}
}

// The pod of a step that a quota for the number of pods refuses does not wait for pods that have ended: the Jobs of committed steps are deleted, and pods of
// committed indexes. Other quotas do not count what has ended.
func TestFinishedPodsMakeRoom(t *testing.T) {
	t.Parallel()
	for resource, isFreed := range map[string]bool{"count/pods": true, "pods": false, "count/jobs.batch": false} {
		first, _, _ := openLoop(t, workflow.Step{Name: "done"}, workflow.Step{Name: "fan", Completions: 4, Parallel: 2}, workflow.Step{Name: "waits"})
		done, err := first.buildJob("done", 1)
		if err != nil {
			t.Fatal(err)
		}
		done.Status.CompletionTime = &metav1.Time{Time: time.Now()}
		cluster := &fakeCluster{jobs: []batchv1.Job{*done}}
		l := cluster.nextLoop(t, first.Execution)
		for _, step := range []string{"done", "fan", "waits"} {
			l.state.recordJob(step, 1)
		}
		l.state.recordCommit("done")
		for index, phase := range []corev1.PodPhase{corev1.PodSucceeded, corev1.PodFailed, corev1.PodRunning, corev1.PodSucceeded} {
			pod := runningPod("fan", fmt.Sprint(index))
			pod.Name, pod.Status.Phase = fmt.Sprint("fan-", index), phase
			l.rememberPod(pod)
			if index < 3 { // the last one is not committed
				l.merger.indexes[workflow.IndexKey("fan", index)] = files.Record{}
			}
		}
		l.startPodTimer("waits")
		l.lastMove = time.Time{}
		message := `Error creating: pods "x" is forbidden: exceeded quota: q, requested: R=1, used: R=3, limited: R=3`
		l.handleDiagnosis(t.Context(), diagnosed{"waits", l.timers["waits"], workflow.ReasonFailedCreate, strings.ReplaceAll(message, "R", resource)})
		l.cleanUp(t.Context())
		want := "[]"
		if isFreed {
			want = "[DELETE brane-run-done-1 DELETE fan-0]"
		}
		if fmt.Sprint(cluster.changes) != want || l.lastMove.IsZero() == isFreed {
			t.Errorf("%s: the changes are %q, not %s; the last move was at %s", resource, cluster.changes, want, l.lastMove)
		}
	}
}
