//go:build long

package workflowrun_test

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// An engine, whose service account may not list nodes, creates the pods with the provider's choice of agent_injection.
func TestLongAccWorkflowRun_agentVolumeInside(t *testing.T) {
	t.Parallel()
	clustertest.RequireImageVolumes(t)
	s := heldrun.NewRun(t, "volume-inside", "wait = false", "/wait")
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitSlowStep(t)
	s.Server.Release()
	s.AwaitStatus(t, workflow.RunSucceeded)
	acctest.NoError(t, checkAgentInjection(t.Context(), s.Env, workflow.StepLabel, true))
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}
