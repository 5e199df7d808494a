package detached

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The status of a run says that the Job of its engine is suspended, also if the engine has written a problem before it was stopped.
func TestSuspendedEngine(t *testing.T) {
	t.Parallel()
	suspended := batchv1.JobCondition{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue, Reason: "JobSuspended", Message: "Job suspended"}
	failed := batchv1.JobCondition{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", Message: "it has failed"}
	for name, tt := range map[string]struct {
		isSuspended bool
		conditions  []batchv1.JobCondition
		earlier     string // the problem that the engine has written
		status      workflow.RunStatus
		want        []string
	}{
		"before its first pod":            {true, nil, "", workflow.RunRunning, []string{`Job "engine" is suspended`}},
		"while it runs":                   {true, []batchv1.JobCondition{suspended}, "context canceled", workflow.RunRunning, []string{`Job "engine" is suspended: Job suspended`, "context canceled"}},
		"not":                             {false, nil, "it waits", workflow.RunRunning, []string{"it waits"}},
		"a suspended Job that has failed": {true, []batchv1.JobCondition{failed}, "", workflow.RunStopped, []string{"BackoffLimitExceeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case strings.HasSuffix(r.URL.Path, "/configmaps/brane-run"):
					text, _ := json.Marshal(workflow.Outcome{Problem: tt.earlier})
					_ = json.NewEncoder(w).Encode(corev1.ConfigMap{
						TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: map[string]string{"engine": "engine", "outcome": string(text)},
					})
				case strings.HasSuffix(r.URL.Path, "/jobs/engine"):
					job := batchv1.Job{TypeMeta: metav1.TypeMeta{Kind: "Job", APIVersion: "batch/v1"}, ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "engine"}}
					job.Spec.Suspend, job.Status.Conditions = &tt.isSuspended, tt.conditions
					_ = json.NewEncoder(w).Encode(job)
				default:
					_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "apiVersion": "v1", "items": []any{}})
				}
			}))
			t.Cleanup(server.Close)
			client, err := kube.New(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			status, err := ReadStatus(t.Context(), client, workflow.Ref{ID: "run", Namespace: "ns"})
			if err != nil || status.Status != tt.status {
				t.Fatalf("the status is %s, %v", status.Status, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(status.Problem, want) {
					t.Errorf("the problem does not contain %q: %s", want, status.Problem)
				}
			}
		})
	}
}
