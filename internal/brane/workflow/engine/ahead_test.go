package engine

import (
	"fmt"
	"testing"

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
		"one step and no more":                   {map[string]phase{"a": started}, "a", 9, "[b] []"},
		"not before its need has a node":         {map[string]phase{"a": started}, "", 9, "[] []"},
		"not behind one that is early itself":    {map[string]phase{"a": started, "b": early}, "a b", 9, "[] []"},
		"when that is early no more":             {map[string]phase{"a": committed, "b": started}, "b", 9, "[c] []"},
		"all that wait for the same":             {map[string]phase{"a": committed, "b": committed, "c": started}, "c", 9, "[d e] []"},
		"no more than may run":                   {map[string]phase{"a": committed, "b": committed, "c": started}, "c", 1, "[d] []"},
		"taken back when its need lost its node": {map[string]phase{"a": started, "b": early}, "", 9, "[] [b]"},
		"taken back after a failure":             {map[string]phase{"a": failed, "b": early}, "", 9, "[] [b]"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProgress(g)
			p.known = tt.known
			begin, withdraw := p.ahead(func(step string) bool {
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
			if got := holdsAll(tt.pod); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// A prewarmed chain passes its files on, and the early Job of a step whose need fails is deleted.
func TestPrewarm(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	run := l.run(
		l.step("one", l.wait()+"; echo 1 > /data/lines"),
		l.step("two", "echo 2 >> /data/lines", "one"),
		l.step("three", "echo 3 >> /data/lines; test $(cat /data/lines | wc -l) = 3", "two"),
	)
	run.Prewarm = true
	early := heard(run, workflow.StepStarted, "two")
	ended := execute(t.Context(), run)
	await(t, "the step", l.counter.arrived)
	await(t, "the next step", early)
	if n := l.counter.of("two"); n != 0 {
		t.Error("the second step runs before the first has ended")
	}
	l.counter.release()
	await(t, "the run", ended).succeeds(t)
	l.ranOnce(run)

	broken := l.run(l.step("breaks", "exit 3"), l.step("never", "true", "breaks"))
	broken.Prewarm = true
	end := await(t, "the broken run", execute(t.Context(), broken))
	if end.err != nil || len(end.result.Failures) != 1 || end.result.Failures[0].Code != 3 || l.counter.of("never") != 0 {
		t.Errorf("it ended with %+v, %v", end.result, end.err)
	}
	if jobs := l.jobs(broken); len(jobs) != 1 {
		t.Errorf("there are %q", jobs)
	}
}
