package namespace_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestReplacedNamespace checks that a namespace that others have created under the same name leaves the state with a warning.
func TestReplacedNamespace(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if strings.HasSuffix(r.URL.Path, "/namespaces/ns") {
			_, _ = io.WriteString(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"ns","uid":"theirs"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"items":[]}`)
	}))
	t.Cleanup(server.Close)
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": acctest.Object{"host": server.URL}}, false).Diagnostics)
	c := s.NewLifecycle("brane_namespace")
	c.State = s.EncodeObject(c.Schema(), acctest.Object{"name": "ns", "uid": "ours", "access": "run", "service_account": acctest.Object{"name": "brane", "create_token_secret": false}})
	got := acctest.FormatDiagnostics(c.Refresh())
	if !strings.Contains(got, `WARNING, AttributeName("uid"): Namespace was replaced: `) || !strings.Contains(got, "UID theirs") || c.Exists() {
		t.Errorf("the refresh says %q", got)
	}
}
