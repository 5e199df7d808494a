//go:build long

package workflowrun_test

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// A run that failed is continued although Terraform must not destroy it: after untaint, the next apply continues it in place.
func TestLongAccRunLifecycle_preventDestroy(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRunIn(t, nil, "guarded", guardedSteps+"\n  lifecycle {\n    prevent_destroy = true\n  }")
	t.Cleanup(func() { s.WriteConfig(t, "guarded", guardedSteps) }) // so that it can be destroyed
	s.CheckFails(t, nil, `Step "slow" of run "guarded" failed`)
	s.CheckFails(t, nil, "Instance cannot be destroyed")
	s.CLI.Run(t, "untaint", "-no-color", acctest.RunAddress)
	s.CheckFails(t, nil, `Step "slow" of run "guarded" failed`) // and is not tainted again
	s.Server.Works.Store(true)
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	if status, starts := s.ReadStatus(t), s.CountStarts(t); status != "succeeded" || starts != "first 1, slow 3" {
		t.Errorf("the run has the status %s, and its steps started: %s", status, starts)
	}
	s.CLI.Run(t, "plan", "-no-color", "-detailed-exitcode") // nothing is left to do
}

// A run that failed keeps its commits if its id is not known during the plan.
func TestLongAccRunLifecycle_unknownInput(t *testing.T) {
	t.Parallel()
	body := guardedSteps + "\n  inputs = { in = { content = terraform_data.in.output } }"
	s := heldrun.NewRunIn(t, nil, "unknown", guardedSteps)
	write := func(trigger string) {
		s.WriteConfig(t, "unknown", body)
		s.CLI.WriteFile(t, "in.tf", "resource \"terraform_data\" \"in\" {\n  input            = \"the same\"\n  triggers_replace = \""+trigger+"\"\n}\n")
	}
	write("one")
	s.CheckFails(t, nil, `Step "slow" of run "unknown" failed`)
	s.Server.Works.Store(true)
	write("two")
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	if status, starts := s.ReadStatus(t), s.CountStarts(t); status != "succeeded" || starts != "first 1, slow 2" {
		t.Errorf("the run has the status %s, and its steps started: %s", status, starts)
	}
}

// guardedSteps are two steps of which the second fails until $WORKS succeeds.
const guardedSteps = `
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; echo first > /data/first"] }
    slow  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/slow; $WORKS; cat /data/first > /data/both"], needs = ["first"] }
  }
  outputs = { both = { path = "both" } }
`
