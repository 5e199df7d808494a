package engine

import (
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// A step fails if its pods were evicted because of their own limits more often than it has retries, or three times by their nodes.
func TestEvictionsAreCounted(t *testing.T) {
	t.Parallel()
	pod := func(kind string, n int) *corev1.Pod {
		kind, index, _ := strings.Cut(kind, "/")
		pod := endedPod(fmt.Sprint(kind, n), n, workflow.StepContainer, 204, "Error")
		pod.Labels = map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: "1"}
		if index != "" {
			pod.Labels[batchv1.JobCompletionIndexAnnotation] = index
		}
		disruption := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonTerminationByKubelet}
		switch kind {
		case "limit":
			pod.Status.Reason, pod.Status.Message = workflow.ReasonEvicted, "Usage of EmptyDir volume \"data\" exceeds the limit \"20Mi\". "
		case "node":
			pod.Status.Reason, pod.Status.Message = workflow.ReasonEvicted, "The node was low on resource: ephemeral-storage. "
			pod.Status.Conditions = []corev1.PodCondition{disruption}
		case "drained":
			pod.Status.Conditions = []corev1.PodCondition{disruption}
		case "failed":
			pod.Status.ContainerStatuses[0].State.Terminated.ExitCode = 3
		case "rejected": // by a node that is short of disk
			pod.Status.Reason, pod.Status.ContainerStatuses = workflow.ReasonEvicted, nil
		case "old":
			pod.Status.Reason = workflow.ReasonEvicted
			pod.Labels[workflow.AttemptLabel] = "0"
		}
		return pod
	}
	for name, tt := range map[string]struct {
		step workflow.Step
		pods string
		want string // the evicted pod with which the step fails
	}{
		"the limit of the pod":                  {workflow.Step{}, "limit", "limit0"},
		"the limit of the pod, with retries":    {workflow.Step{Retries: 2}, "limit limit", ""},
		"more often than it has retries":        {workflow.Step{Retries: 2}, "limit limit limit", "limit2"},
		"together with failures":                {workflow.Step{Retries: 1}, "failed limit", "limit1"},
		"nodes":                                 {workflow.Step{}, "node node", ""},
		"three nodes":                           {workflow.Step{}, "node node drained node", "node3"},
		"nodes, with retries":                   {workflow.Step{Retries: 9}, "node node node", "node2"},
		"drained nodes":                         {workflow.Step{}, "drained drained drained drained", ""},
		"three indexes of a step":               {workflow.Step{Completions: 3}, "node/0 node/1 node/2", ""},
		"one index of a step":                   {workflow.Step{Completions: 3}, "node/1 node/0 node/1 node/1", "node3"},
		"an earlier attempt":                    {workflow.Step{}, "old old old", ""},
		"nodes that have not admitted the pods": {workflow.Step{}, "rejected rejected rejected", ""},
	} {
		tt.step.Name = "a"
		l := newTestLoop(t, tt.step)
		l.clients.Kube = newFakeClient(t, answerEmpty)
		l.state.recordJob("a", 1)
		var reported int
		l.options.Observe = func(workflow.Event) { reported++ }
		got := ""
		for n, kind := range strings.Fields(tt.pods) {
			evicted := pod(kind, n)
			l.handlePod(evicted)
			l.handlePod(evicted)
			if l.limitFailedIndexes(t.Context()); got == "" && l.state.phaseOf("a") == unconfirmed {
				got = evicted.Name
			}
		}
		if got != tt.want {
			t.Errorf("%s: the step fails with %q, not with %q", name, got, tt.want)
		}
		if evictions := strings.Count(tt.pods, "limit") + strings.Count(tt.pods, "node"); reported != evictions {
			t.Errorf("%s: %d of %d evictions are reported", name, reported, evictions)
		}
		if got == "" {
			continue
		}
		if why := l.state.steps["a"].reason; why.reason != workflow.ReasonEvicted || why.message == "" {
			t.Errorf("%s: the reason is %+v", name, why)
		}
		// The replacement of the evicted pod does not hide it.
		replacement := endedPod("z", 99, workflow.StepContainer, 0, "")
		replacement.Labels = map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: "1"}
		l.rememberPod(replacement)
		if first := l.rankPods("a", workflow.ReasonEvicted)[0]; first.Name != tt.want {
			t.Errorf("%s: the failure is about pod %s", name, first.Name)
		}
	}
}

// An index that was evicted for the last allowed time is one of the failed indexes, unless it has committed. The step fails if these are too many, or if no
// other index is left.
func TestEvictedIndexesAreCounted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		most      int32
		evicted   []int
		failed    string // according to the Job
		committed []int
		want      string // the reason
	}{
		"as many as allowed":             {2, []int{0}, "1", nil, ""},
		"the same index":                 {1, []int{1}, "1", nil, ""},
		"too many":                       {2, []int{0, 1}, "2", nil, "MaxFailedIndexesExceeded: 3 indexes have failed, and max_failed_indexes is 2"},
		"none is allowed":                {0, []int{0}, "", nil, "Evicted: full"},
		"the others are committed":       {2, []int{0}, "1", []int{2, 3}, "Evicted: full"},
		"another one runs":               {2, []int{0}, "1", []int{2}, ""},
		"it has committed":               {0, []int{0}, "", []int{0}, ""},
		"it and all others have, or may": {2, []int{0}, "1", []int{0, 2, 3}, ""}, // the Job fails
	} {
		l := newTestLoop(t, workflow.Step{Name: "a", Completions: 4, MaxFailedIndexes: tt.most})
		l.clients.Kube = newFakeClient(t, answerEmpty)
		l.state.recordJob("a", 1)
		for _, index := range tt.evicted {
			pod := endedPod(fmt.Sprint(index), 0, workflow.StepContainer, 204, "Error")
			pod.Labels = map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: "1", batchv1.JobCompletionIndexAnnotation: fmt.Sprint(index)}
			pod.Status.Reason, pod.Status.Message = workflow.ReasonEvicted, "full"
			l.handlePod(pod)
			if !l.hints.names[workflow.IndexKey("a", index)] {
				t.Errorf("%s: the commit of index %d is not read", name, index)
			}
		}
		if tt.failed != "" {
			l.failedIndexes["a"] = tt.failed
		}
		for _, index := range tt.committed {
			l.merger.indexes[workflow.IndexKey("a", index)] = files.Record{}
			l.merger.known["a"]++
		}
		l.limitFailedIndexes(t.Context())
		got := ""
		if why := l.state.steps["a"].reason; l.state.phaseOf("a") == unconfirmed {
			got = why.reason + ": " + why.message
		}
		if got != tt.want {
			t.Errorf("%s: the step fails with %q, not with %q", name, got, tt.want)
		}
	}
}
