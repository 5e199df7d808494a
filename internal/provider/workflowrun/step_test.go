package workflowrun

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// What is wrong with a step is told on the very part of it that is wrong.
func TestStepErrorsHaveTheirPath(t *testing.T) {
	for want, step := range map[string]workflow.Step{
		`steps["A"]`:                               {Name: "A"},
		`steps["a"].args`:                          {Name: "a", Args: []string{"\x00"}},
		`steps["a"].env["X"]`:                      {Name: "a", Env: map[string]string{"X": "\x00"}},
		`steps["a"].volumes["v"]`:                  {Name: "a", Volumes: []workflow.Volume{{Name: "v", MountPath: "/"}}},
		`steps["a"].security_context.capabilities`: {Name: "a", SecurityContext: workflow.SecurityContext{Capabilities: []string{"ALL"}}},
		`steps["a"].needs`:                         {Name: "a", Needs: []string{"b"}},
		`secret_env_wo["a"]["X"]`:                  {Name: "a", SecretEnv: map[string]string{"X": "\x00"}},
	} {
		var diags diag.Diagnostics
		_, err := workflow.NewGraph([]workflow.Step{step})
		reportSteps(&diags, err)
		if len(diags) != 1 {
			t.Fatalf("%s: %v", want, diags)
		}
		told, ok := diags[0].(diag.DiagnosticWithPath)
		if !ok || told.Path().String() != want || !strings.HasSuffix(told.Detail(), ".") {
			t.Errorf("%s: got %v", want, diags[0])
		}
	}
}

// Whatever a step has to tell, a diagnostic has at most 8 KiB.
func TestADiagnosticIsBounded(t *testing.T) {
	name := strings.Repeat("a", 40)
	result := workflow.Result{
		Steps:    map[string]workflow.StepResult{name: {Status: workflow.Failed}, "b": {Status: workflow.Skipped}},
		Failures: []*workflow.Failure{{Step: name, End: workflow.End{Pod: "p", Log: []string{strings.Repeat("x\n", 10_000)}}}},
	}
	var diags diag.Diagnostics
	reportFailures(&diags, name, result)
	text := diags[0].Summary() + diags[0].Detail()
	if len(text) > 8<<10 || !strings.HasSuffix(text, "Because of this 1 of 2 steps were stopped or not started.") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}
