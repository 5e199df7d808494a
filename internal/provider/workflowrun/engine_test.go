package workflowrun_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The engine has what its block and the defaults set. A change of the block runs nothing again, and without an engine it is ignored.
func TestAccWorkflowRun_engine(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	config := func(wait bool) string {
		return s.RunConfig(t, "configured", "wait = "+strconv.FormatBool(wait)+`
  labels   = { team = "imaging", stage = "run" }
  defaults = {
    image              = "$TOOLS"
    node_selector      = { "kubernetes.io/os" = "linux" }
    tolerations        = [{ key = "dedicated", operator = "Exists" }]
    affinity           = "nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: Exists}]}}]}"
    image_pull_secrets = ["mirror"]
    env                = { A = "b" }
  }
  engine = {
    labels      = { stage = "engine" }
    annotations = { "example.org/ticket" = "42" }
    resources   = { requests = { cpu = "10m" }, limits = { memory = "200Mi" } }
    tolerations = [{ key = "engines", operator = "Exists" }]
    pod_patch   = "spec: {containers: [{name: engine, resources: {limits: {memory: 100Mi}}}]}"
  }
  steps   = { hello = { command = ["sh", "-c", "echo hello >/data/out"] } }
  outputs = { out = { path = "out" } }`)
	}
	checkEngine := func(state *terraform.State) error {
		id, err := acctest.RunID(state)
		var jobs batchv1.JobList
		if err := errors.Join(err, s.Client.List(t.Context(), &jobs, s.Namespace, workflow.Ref{ID: id}.EngineSelector())); err != nil {
			return err
		}
		if len(jobs.Items) != 1 {
			return fmt.Errorf("there are %d engines", len(jobs.Items))
		}
		job := jobs.Items[0]
		pod := job.Spec.Template
		container := pod.Spec.Containers[0]
		limit := ""
		for _, variable := range container.Env {
			if variable.Name == "GOMEMLIMIT" {
				limit = variable.Value
			}
		}
		got := fmt.Sprintln(job.Labels["team"], job.Labels["stage"], pod.Labels["stage"], pod.Annotations["example.org/ticket"], pod.Spec.NodeSelector, len(pod.Spec.Tolerations), pod.Spec.Tolerations[0].Key,
			pod.Spec.Affinity != nil, pod.Spec.ImagePullSecrets, container.Resources.Requests.Cpu(), container.Resources.Limits.Memory(), limit, pod.Spec.ServiceAccountName, pod.Spec.SecurityContext.RunAsUser)
		if want := "imaging engine engine 42 map[kubernetes.io/os:linux] 1 engines true [{mirror}] 10m 100Mi " + strconv.Itoa(100<<20/10*9) + " brane <nil>"; strings.Join(strings.Fields(got), " ") != want {
			return fmt.Errorf("the engine has %s, not %s", got, want)
		}
		return nil
	}
	ranOnce := statecheck.CompareValue(compare.ValuesSame())
	update := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate)}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config(false), Check: checkEngine, ConfigStateChecks: []statecheck.StateCheck{ranOnce.AddStateValue(acctest.RunAddress, tfjsonpath.New("execution_id"))}},
			{
				Config: strings.Replace(config(true), `"42"`, `"43"`, 1), ConfigPlanChecks: update,
				ConfigStateChecks: []statecheck.StateCheck{
					ranOnce.AddStateValue(acctest.RunAddress, tfjsonpath.New("execution_id")),
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"out": acctest.ExpectOutput("out", "hello\n")})),
				},
			},
		},
	})
}
