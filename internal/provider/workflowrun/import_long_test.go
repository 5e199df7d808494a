//go:build long

package workflowrun_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// A run is imported and read while an engine runs it, and when it has ended. An apply that was killed is continued after an import.
func TestLongAccWorkflowRun_lookupRunning(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "found", "/wait")
	s.AwaitSlowStep(t)
	p := acctest.NewProtocol(t)
	p.RequireNoErrors(p.Configure(acctest.Object{"control_plane": acctest.Object{"directory": s.Directory}}, false).Diagnostics)
	l := lookup{Env: s.Env, Lifecycle: p.NewLifecycle("brane_workflow_run")}
	check := func(status, slow string, outputs bool) {
		t.Helper()
		data, diagnostics := l.readData(acctest.Object{"name": "found", "infrastructure": s.Namespace})
		l.RequireNoErrors(diagnostics)
		var results, result map[string]tftypes.Value
		acctest.NoError(t, data["results"].As(&results))
		for step, want := range map[string]string{"first": "succeeded", "slow": slow} {
			acctest.NoError(t, results[step].As(&result))
			if got := result["status"]; got.IsNull() != (want == "") || want != "" && l.DecodeString(got) != want {
				t.Errorf("the status of step %s is %s, want %s", step, got, want)
			}
		}
		if got := l.DecodeString(data["status"]); got != status || data["outputs_digest"].IsNull() == outputs {
			t.Errorf("the status is %s with the outputs %s, want %s", got, data["outputs"], status)
		}
		s.CLI.Run(t, "state", "rm", acctest.RunAddress)
		s.CLI.Run(t, "import", "-no-color", acctest.RunAddress, s.AwaitID(t))
		s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color")
	}
	check("running", "", false)
	s.Server.Release()
	s.AwaitStatus(t, workflow.RunSucceeded)
	check("succeeded", "succeeded", true)
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}

// The run of an apply that was killed is read, imported, and continued.
func TestLongAccWorkflowRun_importKilled(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRun(t, "killed", "", "/wait")
	first := heldrun.StartApply(t, s.CLI)
	s.AwaitSlowStep(t)
	first.KillProvider(t)
	first.Errors(t)
	s.CLI.Run(t, "import", "-no-color", acctest.RunAddress, s.AwaitID(t))
	if got := s.ReadStatus(t); got != "running" {
		t.Errorf("the status is %q", got)
	}
	s.Server.Release()
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}
