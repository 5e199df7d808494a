package engine

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// TestDeleteRepeatsRequests deletes and stops a run at an API server that is away for the first request of each method and path.
func TestDeleteRepeatsRequests(t *testing.T) {
	t.Parallel()
	ref := workflow.Ref{ID: "r-1", Namespace: "ns"}
	job := `{"metadata":{"name":"brane-r-1-a-1","namespace":"ns","labels":{"brane/step":"a"}}}`
	for name, do := range map[string]func(client *kube.Client) error{
		"delete": func(client *kube.Client) error { return Delete(t.Context(), client, ref, "execution") },
		"stop":   func(client *kube.Client) error { return Stop(t.Context(), client, ref, "execution") },
	} {
		for fault, answer := range map[string]http.HandlerFunc{
			"503":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			"reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		} {
			t.Run(name+", "+fault, func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				seen := map[string]int{}
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					kind := r.Method + " " + r.URL.Path
					seen[kind]++
					isFirst := seen[kind] == 1
					mu.Unlock()
					w.Header().Set("Content-Type", "application/json")
					switch {
					case isFirst:
						answer(w, r)
					case r.Method == http.MethodDelete:
						fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
					case strings.HasSuffix(r.URL.Path, "/jobs"):
						fmt.Fprintf(w, `{"kind":"JobList","apiVersion":"batch/v1","items":[%s]}`, job)
					case strings.HasSuffix(r.URL.Path, "/pods"):
						fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","items":[]}`)
					default:
						fmt.Fprint(w, `{"kind":"ConfigMap","apiVersion":"v1","data":{"execution":"execution"}}`)
					}
				}))
				t.Cleanup(server.Close)
				client, err := kube.New(&rest.Config{Host: server.URL})
				if err != nil {
					t.Fatal(err)
				}
				if err := do(client); err != nil {
					t.Errorf("%v", err)
				}
				for kind, count := range seen {
					if count < 2 {
						t.Errorf("%s was sent once", kind)
					}
				}
				if len(seen) < 5 {
					t.Errorf("there were only %d kinds of requests", len(seen))
				}
			})
		}
	}
}
