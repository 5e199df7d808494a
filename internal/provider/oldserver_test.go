package provider_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestOldServer checks that an API server below the minimum version is not changed, and that the error states both versions.
func TestOldServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"gitVersion": "v1.29.15"}`)
	}))
	t.Cleanup(server.Close)
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": acctest.Object{"host": server.URL}}, false).Diagnostics)
	namespace := s.NewLifecycle("brane_namespace").Apply(acctest.Object{"name": "compute"})
	token := s.OpenEphemeral("brane_kubeconfig", acctest.Object{"namespace": "compute"})
	for tried, got := range map[string]string{
		`Connecting to create namespace "compute"`:                             acctest.FormatDiagnostics(namespace),
		`Requesting a token of service account "brane" in namespace "compute"`: acctest.FormatDiagnostics(token.Diagnostics),
	} {
		want := fmt.Sprintf("ERROR: Failed to connect to the cluster: %s: the API server at %s is Kubernetes 1.29.15, and Kubernetes 1.30 or later is required.\n\n"+
			"Upgrade the cluster, or use another one.", tried, server.URL)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
