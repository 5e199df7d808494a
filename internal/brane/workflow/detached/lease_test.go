package detached

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// An engine waits as long as the process that has created it renews the lease, and takes over if that was killed before it could release the lease. It does
// not take over from a process that has acquired the lease later.
func TestWaitForLease(t *testing.T) {
	t.Parallel()
	created := engineJobName("run", 3)
	for name, tt := range map[string]struct {
		data      map[string]string
		isRenewed bool
		isOurs    bool
		isOver    bool
	}{
		"the creator was killed":     {map[string]string{"holderIdentity": "provider_p", "leaseTransitions": "3"}, false, true, true},
		"the creator continues":      {map[string]string{"holderIdentity": "provider_p", "leaseTransitions": "3"}, true, false, false},
		"another one was killed":     {map[string]string{"holderIdentity": "provider_q", "leaseTransitions": "4"}, false, false, true},
		"another one continues":      {map[string]string{"holderIdentity": "provider_q", "leaseTransitions": "4"}, true, false, true},
		"the creator has released":   {map[string]string{"leaseTransitions": "3", "engine": created}, false, true, true},
		"the creator has failed":     {map[string]string{"leaseTransitions": "3", "status": "stopped"}, false, false, true},
		"another engine executes it": {map[string]string{"holderIdentity": "pod_p", "leaseTransitions": "5", "engine": engineJobName("run", 4)}, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reads := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				tt.data["leaseDurationSeconds"], tt.data["renewTime"] = "1", "2026-01-02T03:04:05Z"
				if reads++; tt.isRenewed {
					tt.data["renewTime"] = fmt.Sprint(reads)
				}
				_ = json.NewEncoder(w).Encode(corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: tt.data})
			}))
			t.Cleanup(server.Close)
			client, err := kube.New(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			e := &Engine{
				spec: &workflow.Spec{ID: "run", Namespace: "ns"}, clients: engine.Clients{Kube: client},
				options: engine.Options{Holder: record.Holder{Engine: created}},
			}
			ctx, done := context.WithTimeout(t.Context(), 4*time.Second)
			defer done()
			isOurs, err := e.waitForLease(ctx)
			if isOver := !errors.Is(err, context.DeadlineExceeded); isOurs != tt.isOurs || isOver != tt.isOver || isOver && err != nil {
				t.Errorf("the engine executes the run: %t, %v", isOurs, err)
			}
		})
	}
}
