package workflowrun_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A plan warns about a token that may expire during the run, unless the provider can request another one, or an engine runs the workflow.
func TestExpiringTokenIsAWarning(t *testing.T) {
	t.Parallel()
	const server = "https://203.0.113.7:6443"
	for name, tt := range map[string]struct {
		lifetime time.Duration // 0 means a token that does not expire
		cluster  string        // of the provider block
		run      acctest.Object
		warns    bool
	}{
		"expires before the default timeout": {30 * time.Minute, "https://203.0.113.8:6443", nil, true},
		"expires after it":                   {2 * time.Hour, "https://203.0.113.8:6443", nil, false},
		"expires before a long timeout":      {2 * time.Hour, "https://203.0.113.8:6443", acctest.Object{"timeouts": acctest.Object{"create": "3h"}}, true},
		"does not expire":                    {0, "https://203.0.113.8:6443", nil, false},
		"the provider can request another":   {30 * time.Minute, server, nil, false},
		"an engine runs the workflow":        {30 * time.Minute, "https://203.0.113.8:6443", acctest.Object{"wait": false}, false},
		"another infrastructure":             {30 * time.Minute, "https://203.0.113.8:6443", acctest.Object{"infrastructure": "other"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: server, Insecure: true, Token: newToken(tt.lifetime), Namespace: "brane"})
			acctest.NoError(t, err)
			location := infra.Location{Name: "compute", Address: "203.0.113.7:6443", Namespace: "brane", Registry: "r:1", CallbackTo: "http://198.51.100.10:50052", SecretName: "compute"}
			acctest.NoError(t, infra.Create(t.Context(), infra.NewDirectoryStore(directory, infra.V06), location, kubeconfig))
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(acctest.Object{
				"kubernetes": acctest.Object{"host": tt.cluster, "token": "own"}, "control_plane": acctest.Object{"directory": directory},
			}, false).Diagnostics)
			planned := s.Plan("brane_workflow_run", acctest.MergeObjects(acctest.Object{
				"name": "run", "infrastructure": "compute", "wait": true,
				"steps": acctest.Object{"a": acctest.Object{"image": "tools:1", "command": []any{"true"}}},
			}, tt.run), false)
			text := acctest.FormatDiagnostics(planned.Diagnostics)
			if strings.Contains(text, "Token may expire during the run") != tt.warns || strings.Contains(text, "ERROR") {
				t.Errorf("the plan returned: %s", text)
			}
		})
	}
}

// newToken returns an unsigned token of the service account brane.
func newToken(lifetime time.Duration) string {
	claims := `"sub":"system:serviceaccount:brane:brane"`
	if lifetime > 0 {
		claims += fmt.Sprintf(`,"iat":%d,"exp":%d`, time.Now().Unix(), time.Now().Add(lifetime).Unix())
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte("{"+claims+"}")) + ".signature"
}
