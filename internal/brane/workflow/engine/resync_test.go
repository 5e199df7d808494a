package engine

import (
	"net/http"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The watch of Jobs is open, but delivers nothing: the resync finds the Jobs that have ended.
func TestResyncFindsEndedJobs(t *testing.T) {
	l := newTestLoop(t, workflow.Step{Name: "failed"}, workflow.Step{Name: "runs"}, workflow.Step{Name: "gone"})
	job := func(step string) batchv1.Job {
		return batchv1.Job{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{workflow.StepLabel: step, workflow.AttemptLabel: "1"}}}
	}
	ended := job("failed")
	ended.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonBackoffLimitExceeded}}
	l.clients.Kube = newFakeClient(t, func(http.ResponseWriter, *http.Request) any {
		return batchv1.JobList{Items: []batchv1.Job{ended, job("runs")}}
	})
	for _, step := range l.spec.Graph.Steps() {
		l.state.recordJob(step, 1)
	}
	if err := l.detectChangedJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]phase{"failed": unconfirmed, "runs": running, "gone": unconfirmed} {
		if got := l.state.phaseOf(step); got != want {
			t.Errorf("step %s is in phase %d, not %d", step, got, want)
		}
	}
}
