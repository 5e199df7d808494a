package kube_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// TestCheckVersion checks which servers are refused, and that each is asked once unless its answer is not a version.
func TestCheckVersion(t *testing.T) {
	const required = ", and Kubernetes 1.30 or later is required"
	for name, tt := range map[string]struct {
		status  int
		body    string
		version string // of the error; empty if there is none
		asked   int
	}{
		"a current version":               {http.StatusOK, `{"major": "1", "minor": "37", "gitVersion": "v1.37.2"}`, "", 1},
		"the minimum":                     {http.StatusOK, `{"gitVersion": "v1.30.0"}`, "", 1},
		"the minimum of a vendor":         {http.StatusOK, `{"minor": "30+", "gitVersion": "v1.30.14-eks-3abbec1"}`, "", 1},
		"a later major version":           {http.StatusOK, `{"gitVersion": "v2.0.0"}`, "", 1},
		"the version before":              {http.StatusOK, `{"gitVersion": "v1.29.15"}`, "1.29.15", 1},
		"the version before, of a vendor": {http.StatusOK, `{"gitVersion": "v1.29.9+k3s1"}`, "1.29.9", 1},
		"a version of one digit":          {http.StatusOK, `{"gitVersion": "v1.9.11"}`, "1.9.11", 1},
		"no version":                      {http.StatusOK, `{"gitVersion": ""}`, "", 2},
		"another answer":                  {http.StatusOK, "<html>", "", 2},
		"denied":                          {http.StatusForbidden, "", "", 1},
		"a proxy without the path":        {http.StatusNotFound, "", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/version" {
					t.Errorf("got %s %s", r.Method, r.URL)
				}
				asked++
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			t.Cleanup(server.Close)
			client, err := kube.New(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if tt.version != "" {
				want = "the API server at " + server.URL + " is Kubernetes " + tt.version + required
			}
			for range 2 {
				got := ""
				if err := client.CheckVersion(t.Context()); err != nil {
					got = err.Error()
				}
				if got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if asked != tt.asked {
				t.Errorf("the server was asked %d times, want %d", asked, tt.asked)
			}
		})
	}
}
