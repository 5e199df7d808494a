package workflowrun_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// withFailures is a run in which a step fails that may, and others are there for that:
//
//	begin → risky (may fail) → rescue (failure) → join (always) → idle (failure)
//	                        ╲→ unused (success) ↗
const withFailures = `
  defaults = { image = "$TOOLS" }
  steps = {
    begin  = { command = ["sh", "-c", "echo begin > /data/log"] }
    risky  = { command = ["sh", "-c", "echo risky > /data/risky; exit 3"], needs = ["begin"], allow_failure = true }
    unused = { command = ["false"], needs = ["risky"] }
    rescue = { command = ["sh", "-c", "test ! -e /data/risky; echo rescue >> /data/log"], needs = ["risky"], when = "failure" }
    join   = { command = ["sh", "-c", "echo join >> /data/log"], needs = ["rescue", "unused"], when = "always" }
    idle   = { command = ["false"], needs = ["join"], when = "failure" }
  }
`

func TestAccWorkflowRun_when(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	ended := func(status string, code knownvalue.Check, attempts int64) knownvalue.Check {
		return knownvalue.ObjectPartial(map[string]knownvalue.Check{"status": knownvalue.StringExact(status), "exit_code": code, "attempts": knownvalue.Int64Exact(attempts)})
	}
	skipped := ended("skipped", knownvalue.Null(), 0)
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
		Steps: []resource.TestStep{
			{
				Config: s.RunConfig(t, "when", withFailures+"outputs = { log = { path = \"log\" } }"),
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"log": acctest.ExpectOutput("log", "begin\nrescue\njoin\n")})),
					acctest.ExpectRunValue("results", knownvalue.MapExact(map[string]knownvalue.Check{
						"begin": succeeded(), "risky": ended("failed", knownvalue.Int64Exact(3), 1), "unused": skipped, "rescue": succeeded(), "join": succeeded(), "idle": skipped,
					})),
				},
				Check: func(state *terraform.State) (err error) {
					id, err = acctest.RunID(state)
					return err
				},
			},
			{ // other outputs are taken from what is committed
				Config: s.RunConfig(t, "when", withFailures+"outputs = { again = { path = \"log\" } }"),
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"again": acctest.ExpectOutput("log", "begin\nrescue\njoin\n")})),
				},
			},
		},
	})
}

// A step that always runs has the files of all steps that have run before it: it waits for a step that still runs when another one has failed, also if the step
// between them is skipped.
func TestAccWorkflowRun_whenAnotherStepRuns(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: s.RunConfig(t, "reported", `
  defaults = { image = "$TOOLS" }
  steps = {
    fails  = { command = ["false"], allow_failure = true }
    works  = { command = ["sh", "-c", "sleep 8; echo works > /data/works"] }
    join   = { command = ["true"], needs = ["fails", "works"] }
    report = { command = ["sh", "-c", "cat /data/works > /data/report"], needs = ["join"], when = "always" }
  }
  outputs = { report = { path = "report" } }`),
			ConfigStateChecks: []statecheck.StateCheck{
				acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"report": acctest.ExpectOutput("report", "works\n")})),
			},
		}},
	})
}

// A run that has failed still does what is to be done at its end; a step that is tried again can succeed.
func TestAccWorkflowRun_retriesAndTidies(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	acctest.ExpectError(t,
		resource.TestStep{Config: s.RunConfig(t, "tidy", `
  defaults = { image = "$TOOLS" }
  steps = {
    flaky = { command = ["sh", "-c", "echo I am $HOSTNAME; exit 7"], retries = 1 }
    after = { command = ["true"], needs = ["flaky"] }
    tidy  = { command = ["sh", "-c", "echo tidied; exit 5"], needs = ["flaky"], when = "always" }
  }`)},
		[]string{
			`Step "flaky" of run "tidy" failed`, `the command failed with exit code 7`, `Last lines: I am brane-tidy-`, `Before, pod brane-tidy-`, `exit code 7 (Error) I am brane-tidy-`, `Step "tidy" of run "tidy" failed`, `tidied`, `exit code 5`,
			`Because of this 1 of 3 steps were stopped or not started.`,
		},
	)
}
