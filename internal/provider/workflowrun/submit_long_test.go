//go:build long

package workflowrun_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The address in infra.yml refuses connections from the machine that runs Terraform: a port on loopback on which no program of the tests listens.
func TestLongAccWorkflowRun_submittedByTheProvider(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	store := acctest.RedisClient(t)
	elsewhere := strings.Replace(acctest.InfrastructureConfig, `registry `, "address     = \"127.0.0.1:1\"\n  verify_credentials = false\n  registry ", 1)
	config := func(submit string) string {
		return s.Config(t, elsewhere+`
resource "brane_workflow_run" "test" {
  name           = "there"
  infrastructure = brane_infrastructure.test.name
  `+submit+`
  steps          = { greet = { image = "$TOOLS", command = ["sh", "-c", "echo hello > /data/greeting"] } }
  outputs        = { greeting = { path = "greeting" } }
}`)
	}
	var ids []string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, ids...) },
		Steps: []resource.TestStep{
			{
				Config:            config(`submit_with = "provider"`),
				ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"greeting": acctest.ExpectOutput("greeting", "hello\n")}))},
				Check: func(state *terraform.State) error {
					id, err := acctest.RunID(state)
					ids = append(ids, id)
					return err
				},
			},
			{ // changing submit_with runs nothing again
				Config: config(""),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
				}},
			},
			{Config: config(`submit_with = "provider"`)}, // destroy needs it
		},
	})
}
