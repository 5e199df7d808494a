//go:build long

package workflowrun_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A run is replaced if its infrastructure becomes a namespace, and the other way round.
func TestLongAccWorkflowRun_betweenInfrastructureAndNamespace(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	config := func(where string) string {
		return s.Config(t, fmt.Sprintf(`
resource "brane_workflow_run" "test" {
  name  = "moves"
  %s = "$NAMESPACE"
  steps = { greet = { image = "$TOOLS", command = ["sh", "-c", "echo hello > /data/greeting"] } }
}`, where))
	}
	replaced := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionReplace)}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return awaitNoRunObjects(t, s) },
		Steps: []resource.TestStep{
			{Config: config("infrastructure")},
			{Config: config("namespace"), ConfigPlanChecks: replaced},
			{Config: config("infrastructure"), ConfigPlanChecks: replaced},
		},
	})
}
