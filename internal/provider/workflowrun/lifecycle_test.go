package workflowrun_test

import (
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// guardedSteps are two steps of which the second fails until $WORKS succeeds.
const guardedSteps = `
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; echo first > /data/first"] }
    slow  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/slow; $WORKS; cat /data/first > /data/both"], needs = ["first"] }
  }
  outputs = { both = { path = "both" } }
`

// A run that failed is continued although Terraform must not destroy it: after untaint, the next apply continues it in place.
func TestAccRunLifecycle_preventDestroy(t *testing.T) {
	t.Parallel()
	s := newSurvivalIn(t, nil, "guarded", guardedSteps+"\n  lifecycle {\n    prevent_destroy = true\n  }")
	t.Cleanup(func() { s.writeConfig(t, "guarded", guardedSteps) }) // so that it can be destroyed
	s.applyFails(t, `Step "slow" of run "guarded" failed`)
	s.applyFails(t, "Instance cannot be destroyed")
	s.cli.Run(t, "untaint", "-no-color", acctest.RunAddress)
	s.applyFails(t, `Step "slow" of run "guarded" failed`) // and is not tainted again
	s.server.works.Store(true)
	s.applyFails(t, "")
	if status, starts := s.readStatus(t), s.countStarts(t); status != "succeeded" || starts != "first 1, slow 3" {
		t.Errorf("the run has the status %s, and its steps started: %s", status, starts)
	}
	s.cli.Run(t, "plan", "-no-color", "-detailed-exitcode") // nothing is left to do
}

// A run that failed keeps its commits if its id is not known during the plan.
func TestAccRunLifecycle_unknownInput(t *testing.T) {
	t.Parallel()
	body := guardedSteps + "\n  inputs = { in = { content = terraform_data.in.output } }"
	s := newSurvivalIn(t, nil, "unknown", guardedSteps)
	write := func(trigger string) {
		s.writeConfig(t, "unknown", body)
		s.cli.WriteFile(t, "in.tf", "resource \"terraform_data\" \"in\" {\n  input            = \"the same\"\n  triggers_replace = \""+trigger+"\"\n}\n")
	}
	write("one")
	s.applyFails(t, `Step "slow" of run "unknown" failed`)
	s.server.works.Store(true)
	write("two")
	s.applyFails(t, "")
	if status, starts := s.readStatus(t), s.countStarts(t); status != "succeeded" || starts != "first 1, slow 2" {
		t.Errorf("the run has the status %s, and its steps started: %s", status, starts)
	}
}

// applyFails applies, and checks that the errors contain a text; an empty text means that there is no error.
func (s *survival) applyFails(t *testing.T, want string) {
	t.Helper()
	got := startApply(t, s.cli).errors(t)
	if !strings.Contains(got, want) || (want == "") != (got == "") {
		t.Fatalf("the errors are %q, want %q", got, want)
	}
}
