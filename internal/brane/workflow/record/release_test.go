package record_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// The last write says how the run ended, or which engine continues it, so it is repeated, and its failure is reported.
func TestReleaseRepeatsItsWrite(t *testing.T) {
	refused, puts := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPut {
			puts++
			if puts <= refused {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
		}
		object := corev1.ConfigMap{}
		if r.Body != nil {
			_ = json.NewDecoder(r.Body).Decode(&object)
		}
		object.Kind, object.APIVersion = "ConfigMap", "v1"
		_ = json.NewEncoder(w).Encode(object)
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		refused int
		isError bool
	}{"once": {1, false}, "for longer than the release takes": {1000, true}} {
		refused, puts = 0, 0
		lease, err := record.Acquire(t.Context(), client, workflow.Ref{ID: "run", Namespace: "brane"}, record.Holder{Retention: time.Hour}, nil)
		if err != nil {
			t.Fatal(err)
		}
		refused, puts = test.refused, 0
		err = lease.Release(t.Context(), record.Final{Status: workflow.RunRunning, Engine: "engine"})
		if isError := err != nil; isError != test.isError || puts < 2 {
			t.Errorf("refused %s: the error is %v after %d writes", name, err, puts)
		}
	}
}
