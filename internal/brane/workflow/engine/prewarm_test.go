package engine

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// Which steps are started early, and which early Jobs are deleted. The graph is a ─ b ─ c ─ d, and e needs a and c.
func TestAhead(t *testing.T) {
	g := workflowtest.Graph(t, "a", "b: a", "c: b", "d: c", "e: a c")
	for name, tt := range map[string]struct {
		known map[string]phase
		bound string
		free  int
		want  string
	}{
		"one step and no more":                   {map[string]phase{"a": running}, "a", 9, "[b] []"},
		"not before its need has a node":         {map[string]phase{"a": running}, "", 9, "[] []"},
		"not behind one that is early itself":    {map[string]phase{"a": running, "b": prewarmed}, "a b", 9, "[] []"},
		"when that is early no more":             {map[string]phase{"a": committed, "b": running}, "b", 9, "[c] []"},
		"all that wait for the same":             {map[string]phase{"a": committed, "b": committed, "c": running}, "c", 9, "[d e] []"},
		"no more than may run":                   {map[string]phase{"a": committed, "b": committed, "c": running}, "c", 1, "[d] []"},
		"taken back when its need lost its node": {map[string]phase{"a": running, "b": prewarmed}, "", 9, "[] [b]"},
		"taken back after a failure":             {map[string]phase{"a": failed, "b": prewarmed}, "", 9, "[] [b]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(g)
			for name, phase := range tt.known {
				s.steps[name] = &stepState{phase: phase}
			}
			begin, withdraw := decidePrewarm(s, func(step string) bool {
				return len(tt.bound) > 0 && tt.bound[len(tt.bound)-1:] == step || len(tt.bound) > 1 && tt.bound[:1] == step
			}, tt.free)
			if got := fmt.Sprint(begin, withdraw); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAPodHoldsAllThatItAskedFor(t *testing.T) {
	claim := []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"}}}}
	for name, tt := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"none is seen":                       {nil, false},
		"it has no node":                     {&corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending}}, false},
		"it has a node":                      {&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}, true},
		"its volume may not be attached":     {&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n", Volumes: claim}, Status: corev1.PodStatus{Phase: corev1.PodPending}}, false},
		"it runs, hence its volume is there": {&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n", Volumes: claim}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}, true},
		"it has failed":                      {&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}, false},
		"it is being deleted":                {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(metav1.Now())}, Spec: corev1.PodSpec{NodeName: "n"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hasAllResources(tt.pod); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// A step that has a timeout now must not have an early Job, whose time would have begun already.
func TestEarlyJobOfAStepWithATimeout(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"without": 0, "with": time.Minute} {
		l, _, _ := openLoop(t, workflow.Step{Name: "a"}, workflow.Step{Name: "b", Needs: []string{"a"}})
		l.state = newState(l.spec.Graph)
		job, err := l.buildJob("b", 1)
		if err != nil {
			t.Fatal(err)
		}
		of := parseAttempt(job)
		if !of.agent.Ahead {
			t.Fatal("the Job is not an early one")
		}
		step := l.spec.Graph.Step("b")
		step.Timeout = timeout
		next, err := workflow.NewGraph([]workflow.Step{l.spec.Graph.Step("a"), step})
		if err != nil {
			t.Fatal(err)
		}
		spec := *l.spec
		spec.Graph = next
		execution := *l.Execution
		execution.spec = &spec
		l.Execution = &execution
		if got := l.isStale(of, time.Now()); got != (timeout > 0) {
			t.Errorf("%s a timeout: the early Job is stale: %t", name, got)
		}
	}
}
