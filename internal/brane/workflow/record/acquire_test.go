package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// A process that waits for the lease of another one ends with its timeout, and says for whom it has waited.
func TestAcquireEndsWithItsTimeout(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonAlreadyExists,
			})
			return
		}
		_ = json.NewEncoder(w).Encode(corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: map[string]string{
			"holderIdentity": "alice on laptop_1", "leaseDurationSeconds": "3600", "renewTime": "2026-01-02T03:04:05Z",
		}})
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	timeout := errors.New("not finished after 1s (timeouts.create)")
	ctx, done := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, timeout)
	defer done()
	_, err = record.Acquire(ctx, client, workflow.Ref{ID: "run", Namespace: "brane"}, record.Holder{Retention: time.Hour}, nil)
	want := `wait for the lease of run "run", which alice on laptop holds until 2026-01-02T04:04:05Z: ` + timeout.Error()
	if !errors.Is(err, timeout) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
