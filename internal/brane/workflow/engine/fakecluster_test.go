package engine

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// fakeCluster is an API server with the Jobs and pods of a run, which an earlier execution has left.
type fakeCluster struct {
	mu      sync.Mutex
	jobs    []batchv1.Job
	pods    []corev1.Pod
	changes []string // of Jobs and pods: "DELETE name" or "PATCH name"
}

// answer answers a request.
func (c *fakeCluster) answer(w http.ResponseWriter, r *http.Request) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := path.Base(r.URL.Path)
	switch {
	case strings.Contains(r.URL.Path, "/configmaps"):
		if r.Method == http.MethodPost && r.URL.Query().Get("dryRun") == "" {
			w.WriteHeader(http.StatusConflict)
			return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonAlreadyExists}
		}
		data := map[string]string{"leaseTransitions": "1", "deadline": time.Now().Add(time.Hour).Format(time.RFC3339)}
		if r.Method == http.MethodPut {
			data["leaseTransitions"], data["holderIdentity"] = "2", "next_1"
		}
		return corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: data}
	case r.Method == http.MethodDelete || r.Method == http.MethodPatch:
		c.changes = append(c.changes, r.Method+" "+name)
		if r.Method == http.MethodDelete {
			c.jobs = slices.DeleteFunc(c.jobs, func(job batchv1.Job) bool { return job.Name == name })
			c.pods = slices.DeleteFunc(c.pods, func(pod corev1.Pod) bool { return pod.Name == name })
		}
		return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}
	case name == "jobs":
		return batchv1.JobList{TypeMeta: metav1.TypeMeta{Kind: "JobList", APIVersion: "batch/v1"}, Items: c.jobs}
	case name == "pods":
		return corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: c.pods}
	}
	return answerEmpty(w, r)
}

// nextLoop returns the loop of the execution that follows one, in this cluster.
func (c *fakeCluster) nextLoop(t *testing.T, earlier *Execution) *loop {
	t.Helper()
	next := *earlier
	next.clients.Kube = newFakeClient(t, c.answer)
	var err error
	if next.lease, err = record.Acquire(t.Context(), next.clients.Kube, next.spec.Ref(), record.Holder{Name: "next", ID: "1"}, nil); err != nil {
		t.Fatal(err)
	}
	return newLoop(&next)
}
