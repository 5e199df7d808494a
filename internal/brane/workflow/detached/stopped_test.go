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

// A run does not wait for the pod of a Job that the engine has stopped, because its step has failed.
func TestStoppedJobsAreNotDescribed(t *testing.T) {
	t.Parallel()
	for name, parallelism := range map[string]int32{"stopped": 0, "waits": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, "/events") {
					_ = json.NewEncoder(w).Encode(corev1.EventList{Items: []corev1.Event{{Reason: workflow.ReasonFailedCreate, Message: "no such account"}}})
					return
				}
				job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job", Labels: map[string]string{workflow.StepLabel: "a"}}}
				job.Spec.Parallelism = &parallelism
				_ = json.NewEncoder(w).Encode(batchv1.JobList{Items: []batchv1.Job{job}})
			}))
			t.Cleanup(server.Close)
			client, err := kube.New(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			problems, err := describeJobsWithoutPods(t.Context(), client, workflow.Ref{ID: "run", Namespace: "ns"})
			if isDescribed := strings.Contains(problems, "no such account"); err != nil || isDescribed != (parallelism > 0) {
				t.Errorf("the problems are %q, %v", problems, err)
			}
		})
	}
}
