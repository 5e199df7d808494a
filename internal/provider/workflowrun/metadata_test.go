package workflowrun_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The labels and annotations of the run, of the defaults and of a step are those of its Job and pod. A change of them, even to values that are known after the
// plan, runs nothing again. The pod has the network settings of its step.
func TestAccWorkflowRun_metadata(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	config := func(stage string) string {
		return s.Config(t, `
resource "terraform_data" "stage" { input = "later" }

resource "brane_workflow_run" "test" {
  name           = "metadata"
  infrastructure = "$NAMESPACE"
  labels         = { team = "imaging", stage = "run" }
  annotations    = { "example.org/ticket" = "42" }
  defaults       = { image = "$TOOLS", labels = { stage = "default" }, termination_grace_period_seconds = 45 }
  steps = {
    check = {
      command = ["sh", "-ec", <<EOT
        grep -q 'license.example.org' /etc/hosts
        grep -q 'search.*corp.example.org' /etc/resolv.conf
      EOT
      ]
      labels       = { stage = `+stage+` }
      annotations  = { "sidecar.istio.io/inject" = "false" }
      host_aliases = [{ ip = "203.0.113.7", hostnames = ["license.example.org"] }]
      dns_config   = { searches = ["corp.example.org"], options = { ndots = "2" } }
      topology_spread_constraints = [{ topology_key = "kubernetes.io/hostname" }]
    }
  }
}
`)
	}
	const name = "brane_workflow_run.test"
	ranOnce := statecheck.CompareValue(compare.ValuesSame())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config:            config(`"step"`),
				ConfigStateChecks: []statecheck.StateCheck{ranOnce.AddStateValue(name, tfjsonpath.New("execution_id"))},
				Check: func(state *terraform.State) error {
					selector := workflow.Ref{ID: state.RootModule().Resources[name].Primary.ID}.StepsSelector()
					jobs, pods := &batchv1.JobList{}, &corev1.PodList{}
					if err := errors.Join(s.Client.List(t.Context(), jobs, s.Namespace, selector), s.Client.List(t.Context(), pods, s.Namespace, selector)); err != nil {
						return err
					}
					if len(jobs.Items) != 1 || len(pods.Items) != 1 {
						return fmt.Errorf("there are %d Jobs and %d pods", len(jobs.Items), len(pods.Items))
					}
					for _, meta := range []map[string]string{jobs.Items[0].Labels, pods.Items[0].Labels} {
						if meta["team"] != "imaging" || meta["stage"] != "step" || meta[workflow.StepLabel] != "check" {
							return fmt.Errorf("the labels are %v", meta)
						}
					}
					for _, meta := range []map[string]string{jobs.Items[0].Annotations, pods.Items[0].Annotations} {
						if meta["example.org/ticket"] != "42" || meta["sidecar.istio.io/inject"] != "false" {
							return fmt.Errorf("the annotations are %v", meta)
						}
					}
					if grace := pods.Items[0].Spec.TerminationGracePeriodSeconds; grace == nil || *grace != 45 {
						return fmt.Errorf("the grace period is %v", grace)
					}
					return nil
				},
			},
			{
				Config:            config("terraform_data.stage.output"), // not known in the plan
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(name, plancheck.ResourceActionUpdate)}},
				ConfigStateChecks: []statecheck.StateCheck{ranOnce.AddStateValue(name, tfjsonpath.New("execution_id"))},
			},
			{
				Config:            strings.Replace(config(`"other"`), `"42"`, `"43"`, 1),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(name, plancheck.ResourceActionUpdate)}},
				ConfigStateChecks: []statecheck.StateCheck{ranOnce.AddStateValue(name, tfjsonpath.New("execution_id"))},
			},
		},
	})
}

// Labels by which a run, Kubernetes or a user finds Jobs and pods are an error wherever they are set, and one error each.
func TestReservedLabelsAreErrors(t *testing.T) {
	t.Parallel()
	s := acctest.NewProtocol(t)
	for _, key := range []string{"brane/run", "app.kubernetes.io/name", "batch.kubernetes.io/job-name", "job-name", "controller-uid"} {
		labels := acctest.Object{"team": "imaging", key: "x"}
		step := acctest.Object{"image": "tools:1", "command": []any{"true"}, "labels": labels}
		schema := s.Schemas.ResourceSchemas["brane_workflow_run"]
		resp, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: "brane_workflow_run", Config: s.EncodeObject(schema, acctest.Object{
			"name": "run", "infrastructure": "compute", "labels": labels, "defaults": acctest.Object{"labels": labels}, "steps": acctest.Object{"a": step},
		})})
		acctest.NoError(t, err)
		if text := acctest.FormatDiagnostics(resp.Diagnostics); strings.Count(text, "ERROR") != 3 || strings.Count(text, "sets this label itself; remove it") != 3 {
			t.Errorf("%s: %s", key, text)
		}
	}
}
