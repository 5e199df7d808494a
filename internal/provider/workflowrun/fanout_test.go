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
