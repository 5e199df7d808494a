package workflowrun_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A step of many: each finds its item and what was there before, a child finds what all of them left, and one of them is tried again.
func TestAccWorkflowRun_fanOut(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
		Steps: []resource.TestStep{{
			Config: s.RunConfig(t, "fan", `
  inputs   = { word = { content = "hello" } }
  defaults = { image = "$TOOLS" }
  steps = {
    greet  = { command = ["sh", "-c", "echo \"$(cat /data/word) $BRANE_ITEM\" > /data/out.$BRANE_INDEX"], items = ["Ada", "Grace H", "Edsger"], parallelism = 2 }
    change = { command = ["sh", "-c", "echo bye >> /data/out.$BRANE_INDEX"], needs = ["greet"], completions = 2 }
    join   = { command = ["sh", "-c", "cat /data/out.* > /data/all"], needs = ["change", "greet"] }
  }
  outputs = { all = { path = "all" } }`),
			ConfigStateChecks: []statecheck.StateCheck{
				acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
				acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"all": acctest.ExpectOutput("all", "hello Ada\nbye\nhello Grace H\nbye\nhello Edsger\n")})),
				acctest.ExpectRunValue("results", knownvalue.MapExact(map[string]knownvalue.Check{"greet": succeeded(), "change": succeeded(), "join": succeeded()})),
			},
			Check: func(state *terraform.State) (err error) {
				id, err = acctest.RunID(state)
				return err
			},
		}},
	})
}

// One of many fails, or two of them disagree.
func TestAccWorkflowRun_fanOutFails(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	t.Run("one", func(t *testing.T) {
		t.Parallel()
		acctest.ExpectError(t,
			resource.TestStep{Config: s.RunConfig(t, "one-of-many", `steps = { fan = { image = "$TOOLS", command = ["sh", "-c", "echo I am $BRANE_ITEM; test $BRANE_INDEX != 1 || exit 9"], items = ["a", "b"] } }`)},
			[]string{`Step "fan" of run "one-of-many" failed`, `index 1`, `the command failed with exit code 9`, `I am b`},
		)
	})
	t.Run("two", func(t *testing.T) {
		t.Parallel()
		acctest.ExpectError(t,
			resource.TestStep{Config: s.RunConfig(t, "two-of-many", `steps = { fan = { image = "$TOOLS", command = ["sh", "-c", "echo $BRANE_INDEX > /data/same"], completions = 2 } }`)},
			[]string{`Step "fan" of run "two-of-many" failed`, `steps "fan.0" and "fan.1" wrote different content to "same"`, `Let each index write to different paths`},
		)
	})
}

// A fan-out step without items has succeeded without a container, and what needs it runs. Items that are only known when they are applied do not
// fail after the earlier run was destroyed.
func TestAccWorkflowRun_fanOutEmpty(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	config := func(names, items string) string {
		return fmt.Sprintf("resource \"terraform_data\" \"names\" {\n  input = %s\n}\n", names) + s.RunConfig(t, "empty", `
  inputs   = { word = { content = "hello\n" } }
  defaults = { image = "$TOOLS" }
  steps = {
    work   = { command = ["sh", "-c", "echo $BRANE_ITEM > /data/done.$BRANE_INDEX"], writes = ["done.*"], items = `+items+`, max_failed_indexes = 2, parallelism = 3 }
    none   = { command = ["sh", "-c", "exit 3"], needs = ["work"], writes = ["none"], completions = 0 }
    report = { command = ["sh", "-c", "cat /data/word /data/done.* > /data/report 2> /dev/null; true"], needs = ["none"], writes = ["report"] }
  }
  outputs = { report = { path = "report" }, first = { path = "done.0" } }`)
	}
	empty := knownvalue.ObjectExact(map[string]knownvalue.Check{
		"status": knownvalue.StringExact("succeeded"), "exit_code": knownvalue.Null(), "started_at": knownvalue.Null(), "finished_at": knownvalue.Null(),
		"duration": knownvalue.Null(), "attempts": knownvalue.Int64Exact(0), "digest": knownvalue.NotNull(), "fingerprint": knownvalue.NotNull(), "return_type": knownvalue.Null(), "return_value": knownvalue.Null(),
	})
	outputs := func(report string, first knownvalue.Check) statecheck.StateCheck {
		return acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"report": acctest.ExpectOutput("report", report), "first": first}))
	}
	nothing := knownvalue.ObjectExact(map[string]knownvalue.Check{
		"path": knownvalue.StringExact("done.0"), "size": knownvalue.Null(), "sha256": knownvalue.Null(), "content": knownvalue.Null(),
	})
	const unknown = `[for name in terraform_data.names.output : name if endswith(name, ".csv")]`
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config(`["a.csv"]`, unknown), ConfigStateChecks: []statecheck.StateCheck{outputs("hello\na.csv\n", acctest.ExpectOutput("done.0", "a.csv\n"))}},
			{
				Config: config(`["readme.txt"]`, unknown),
				ConfigStateChecks: []statecheck.StateCheck{
					outputs("hello\n", nothing), acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
					acctest.ExpectRunValue("results", knownvalue.MapExact(map[string]knownvalue.Check{"work": empty, "none": empty, "report": succeeded()})),
				},
			},
			{Config: config(`["readme.txt"]`, unknown), PlanOnly: true},
			{Config: config(`["readme.txt"]`, "[]"), PlanOnly: true}, // the same run, with items that are known
		},
	})
}

// A run whose steps all have no indexes succeeds, also inside the cluster.
func TestAccWorkflowRun_fanOutAllEmpty(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	config := func(wait string) string {
		return s.RunConfig(t, "nothing", wait+`
  steps   = { work = { image = "$TOOLS", command = ["false"], items = [] } }
  outputs = { work = { path = "work" } }`)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config("wait = false")},
			{
				Config: config(""),
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")), acctest.ExpectRunValue("outputs_digest", knownvalue.Null()),
				},
			},
		},
	})
}
