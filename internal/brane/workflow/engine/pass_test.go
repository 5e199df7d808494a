package engine

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// One pass follows from the commits of many indexes, but the commits of the last index and of a step cause one immediately.
func TestPassesAreCoalesced(t *testing.T) {
	t.Parallel()
	const completions = 20
	for name, last := range map[string]files.Event{
		"last index": {Step: workflow.IndexKey("fan", completions-1), State: files.Committed},
		"step":       {Step: "fan", State: files.Committed},
		"resync":     {State: files.Resync},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTestLoop(t, workflow.Step{Name: "fan", Completions: completions})
			l.hints.all = false
			l.signals.all = make(chan any) // so that a pass handles no more signals than it waits for
			now := time.Now().Add(time.Hour)
			l.nextResync = now.Add(time.Hour)
			go func() {
				for i := range completions - 1 {
					l.signals.all <- files.Event{Step: workflow.IndexKey("fan", i), State: files.Committed}
				}
				l.signals.all <- last
			}()
			if err := l.waitForPass(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if got := l.hints.indexes["fan"]; got < completions-1 {
				t.Errorf("a pass followed from the commits of %d of %d indexes", got, completions)
			}
		})
	}
}

// A pass that is not urgent happens when the interval since the last one has ended.
func TestPassAfterInterval(t *testing.T) {
	t.Parallel()
	l := newTestLoop(t, workflow.Step{Name: "fan", Completions: 2})
	l.nextResync = time.Now().Add(time.Hour)
	l.signals.all <- files.Event{Step: workflow.IndexKey("fan", 0), State: files.Committed}
	if err := l.waitForPass(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if l.hints.indexes["fan"] != 1 {
		t.Errorf("the hints are %v", l.hints)
	}
}

// With prewarm, a pod of a step without indexes may let the next step start early.
func TestUrgentPods(t *testing.T) {
	t.Parallel()
	l := newTestLoop(t, workflow.Step{Name: "fan", Completions: 2}, workflow.Step{Name: "single"})
	isUrgent := func(step string) bool {
		return l.isUrgent(podChanged{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{workflow.StepLabel: step}}}})
	}
	if isUrgent("single") {
		t.Error("a pod is urgent without prewarm")
	}
	l.spec.Prewarm = true
	if !isUrgent("single") || isUrgent("fan") || l.isUrgent(jobChanged{&batchv1.Job{}}) {
		t.Error("with prewarm, only the pods of steps without indexes are urgent")
	}
}
