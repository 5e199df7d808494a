package infrastructure_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Operations that exceed their limit fail, and the message names the entry of `timeouts` to increase.
func TestInfrastructureTimeouts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"control_plane": acctest.Object{"directory": dir}}, false).Diagnostics)
	config := acctest.Object{
		"name": "compute", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052", "verify_credentials": false,
		"credentials": acctest.Object{"kubeconfig_wo": acctest.Kubeconfig, "kubeconfig_wo_version": 1}, "timeouts": acctest.Object{"create": "1s", "read": "1100ms", "update": "1200ms", "delete": "1300ms"},
	}
	l := s.NewLifecycle("brane_infrastructure")
	others := flock.New(filepath.Join(dir, ".brane-config.lock"))
	impatient := func(operation func() []*tfprotov6.Diagnostic, want string) {
		t.Helper()
		acctest.NoError(t, others.Lock())
		if said := acctest.FormatDiagnostics(operation()); !strings.Contains(said, "wait for the lock "+others.Path()+": "+want) {
			t.Errorf("got  %s\nwant …%s", said, want)
		}
		acctest.NoError(t, others.Unlock())
	}
	apply := func(config acctest.Object) func() []*tfprotov6.Diagnostic {
		return func() []*tfprotov6.Diagnostic { return l.Apply(config) }
	}

	impatient(apply(config), "not finished after 1s (timeouts.create)")
	l.RequireNoErrors(l.Apply(config))
	impatient(l.Refresh, "not finished after 1.1s (timeouts.read)")
	config["registry"] = "198.51.100.11:50050"
	impatient(apply(config), "not finished after 1.2s (timeouts.update)")
	l.RequireNoErrors(l.Apply(config))
	impatient(apply(nil), "not finished after 1.3s (timeouts.delete)")
	l.RequireNoErrors(l.Apply(nil))
}
