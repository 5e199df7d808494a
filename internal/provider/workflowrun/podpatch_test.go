package workflowrun_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A patch that is not valid, or that changes what Brane needs, is one error on its attribute, wherever it is set and whatever else is not known yet.
func TestPodPatchIsValidated(t *testing.T) {
	t.Parallel()
	s := acctest.NewProtocol(t)
	const (
		unknownField = "spec: {containers: [{name: step, resources: {limit: {cpu: 1}}}]}"
		breaks       = "spec: {restartPolicy: OnFailure}"
		removesStage = "spec: {initContainers: null}"
		hostNetwork  = "spec: {hostNetwork: true}"
	)
	step := func(more acctest.Object) acctest.Object {
		return acctest.MergeObjects(acctest.Object{"image": "tools:1", "command": []any{"true"}}, more)
	}
	plain := acctest.Object{"a": step(nil), "b": step(nil)}
	for name, tt := range map[string]struct {
		config acctest.Object
		want   []string // parts of the only error; none if there is no error
	}{
		"valid everywhere": {acctest.Object{
			"pod_patch": hostNetwork, "defaults": acctest.Object{"pod_patch": hostNetwork}, "steps": acctest.Object{"a": step(acctest.Object{"pod_patch": hostNetwork})},
			"engine": acctest.Object{"pod_patch": hostNetwork},
		}, nil},
		"unknown field of the run":       {acctest.Object{"pod_patch": unknownField, "steps": plain}, []string{`AttributeName("pod_patch")`, `Parsing pod_patch as a strategic merge patch over a pod template: unknown field "spec.containers[0].resources.limit"`}},
		"unknown field of the defaults":  {acctest.Object{"defaults": acctest.Object{"pod_patch": unknownField}, "steps": plain}, []string{`AttributeName("defaults").AttributeName("pod_patch")`, "Parsing defaults.pod_patch"}},
		"unknown field of a step":        {acctest.Object{"steps": acctest.Object{"a": step(acctest.Object{"pod_patch": unknownField}), "b": step(nil)}}, []string{`ElementKeyString("a").AttributeName("pod_patch")`}},
		"unknown field beside unknowns":  {acctest.Object{"pod_patch": unknownField, "steps": acctest.Unknown, "name": acctest.Unknown}, []string{`AttributeName("pod_patch")`, "unknown field"}},
		"a patch that is not known":      {acctest.Object{"pod_patch": acctest.Unknown, "steps": acctest.Object{"a": step(acctest.Object{"pod_patch": acctest.Unknown})}, "engine": acctest.Object{"pod_patch": acctest.Unknown}}, nil},
		"the run breaks the pods":        {acctest.Object{"pod_patch": breaks, "steps": plain}, []string{`AttributeName("pod_patch")`, `Applying pod_patch to the pod of step "a": spec.restartPolicy: must stay Never`}},
		"the defaults break the pods":    {acctest.Object{"pod_patch": hostNetwork, "defaults": acctest.Object{"pod_patch": breaks}, "steps": plain}, []string{`AttributeName("defaults").AttributeName("pod_patch")`, "must stay Never"}},
		"a step breaks its pod":          {acctest.Object{"pod_patch": hostNetwork, "steps": acctest.Object{"a": step(nil), "b": step(acctest.Object{"pod_patch": breaks})}}, []string{`ElementKeyString("b").AttributeName("pod_patch")`, `the pod of step "b"`}},
		"an init container of the agent": {acctest.Object{"pod_patch": removesStage, "steps": plain}, []string{`container "stage" must stay`}},
		"no init container of the agent": {acctest.Object{"pod_patch": removesStage, "agent_injection": "image_volume", "steps": plain}, nil},
		"the engine's command":           {acctest.Object{"steps": plain, "engine": acctest.Object{"pod_patch": "spec: {containers: [{name: engine, command: [sh]}]}"}}, []string{`AttributeName("engine").AttributeName("pod_patch")`, "Applying engine.pod_patch to the pod of the engine: spec.containers[name=engine]: command and args must stay"}},
		"the engine's token":             {acctest.Object{"steps": plain, "engine": acctest.Object{"pod_patch": "spec: {automountServiceAccountToken: false}"}}, []string{"spec.automountServiceAccountToken: the engine needs the token"}},
		"the engine's mounts":            {acctest.Object{"steps": plain, "engine": acctest.Object{"pod_patch": "spec: {volumes: [{name: config, $patch: delete}]}"}}, []string{`volume "config" belongs to Brane`}},
		"the engine's resources":         {acctest.Object{"steps": plain, "engine": acctest.Object{"resources": acctest.Object{"requests": acctest.Object{"memory": "2Gi"}, "limits": acctest.Object{"memory": "1Gi"}}}}, []string{`AttributeName("engine").AttributeName("resources").AttributeName("requests")`, "the engine: it requests 2Gi of memory, more than its limit of 1Gi"}},
		"the engine's labels":            {acctest.Object{"steps": plain, "engine": acctest.Object{"labels": acctest.Object{"brane/run": "x"}}}, []string{`AttributeName("engine").AttributeName("labels")`, "sets this label itself"}},
		"the engine's affinity":          {acctest.Object{"steps": plain, "engine": acctest.Object{"affinity": "nodeAffinity: {required: []}"}}, []string{`AttributeName("engine").AttributeName("affinity")`, `unknown field "nodeAffinity.required"`}},
	} {
		t.Run(name, func(t *testing.T) {
			schema := s.Schemas.ResourceSchemas["brane_workflow_run"]
			config := acctest.MergeObjects(acctest.Object{"name": "run", "infrastructure": "compute"}, tt.config)
			resp, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: "brane_workflow_run", Config: s.EncodeObject(schema, config)})
			acctest.NoError(t, err)
			text := acctest.FormatDiagnostics(resp.Diagnostics)
			if strings.Count(text, "ERROR") != min(len(tt.want), 1) {
				t.Errorf("the diagnostics are %s", text)
			}
			for _, part := range tt.want {
				if !strings.Contains(text, part) {
					t.Errorf("there is no %q: %s", part, text)
				}
			}
		})
	}
}

// The patches of the run, of the defaults and of a step are applied in this order. Another notation runs nothing again, another patch does. A patch that is known
// only in apply is checked before anything is created.
func TestAccWorkflowRun_podPatch(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	config := func(run, step string) string {
		return s.Config(t, `
resource "terraform_data" "patch" { input = "spec: {restartPolicy: OnFailure}" }

resource "brane_workflow_run" "test" {
  name           = "patched"
  infrastructure = "$NAMESPACE"
  pod_patch      = `+run+`
  defaults = {
    image     = "$TOOLS"
    pod_patch = <<EOT
      metadata: {annotations: {example.org/from: defaults}}
      spec:
        containers: [{name: step, env: [{name: ORDER, value: defaults}, {name: SECOND, value: defaults}]}]
        volumes: [{name: shm, emptyDir: {medium: Memory}}, {name: data, emptyDir: {medium: Memory}}]
    EOT
  }
  steps = {
    check = {
      command   = ["sh", "-ec", "echo $ORDER $SECOND $THIRD >/data/out; grep -q ' /dev/shm tmpfs' /proc/mounts; grep -q ' /data tmpfs' /proc/mounts"]
      pod_patch = `+step+`
    }
  }
  outputs = { out = { path = "out" } }
}
`)
	}
	const (
		run   = `"spec: {hostname: patched, containers: [{name: step, env: [{name: ORDER, value: run}, {name: THIRD, value: run}]}]}"`
		same  = `jsonencode({ spec = { hostname = "patched", containers = [{ name = "step", env = [{ name = "ORDER", value = "run" }, { name = "THIRD", value = "run" }] }] } })`
		other = `"spec: {hostname: other}"`
		step  = `yamlencode({ spec = { containers = [{ name = "step", env = [{ name = "SECOND", value = "step" }], volumeMounts = [{ name = "shm", mountPath = "/dev/shm" }] }] } })`
	)
	ranOnce := statecheck.CompareValue(compare.ValuesSame())
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config:      config("terraform_data.patch.output", step),
				ExpectError: regexp.MustCompile(`(?s)Invalid pod patch.*Applying pod_patch to the pod\s+of\s+step\s+"check":\s+spec.restartPolicy:\s+must\s+stay\s+Never`),
			},
			{
				PreConfig: func() { acctest.NoError(t, s.CheckNoRunObjects(t.Context())) },
				Config:    config(run, step),
				ConfigStateChecks: []statecheck.StateCheck{
					ranOnce.AddStateValue(acctest.RunAddress, tfjsonpath.New("execution_id")),
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"out": acctest.ExpectOutput("out", "defaults step run\n")})),
				},
				Check: func(state *terraform.State) error {
					id, err := acctest.RunID(state)
					pods := &corev1.PodList{}
					if err := errors.Join(err, s.Client.List(t.Context(), pods, s.Namespace, workflow.Ref{ID: id}.StepsSelector())); err != nil {
						return err
					}
					if len(pods.Items) != 1 || pods.Items[0].Spec.Hostname != "patched" || pods.Items[0].Annotations["example.org/from"] != "defaults" {
						return fmt.Errorf("the pods are %+v", pods.Items)
					}
					return nil
				},
			},
			{
				Config:            config(same, step),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate)}},
				ConfigStateChecks: []statecheck.StateCheck{ranOnce.AddStateValue(acctest.RunAddress, tfjsonpath.New("execution_id"))},
			},
			{
				Config: config(other, step), PlanOnly: true, ExpectNonEmptyPlan: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate)}},
			},
		},
	})
}
