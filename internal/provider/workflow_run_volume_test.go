package provider_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Whatever a run has, it has without an init container too: a chain, made early, a step that is many, calls of packages, exit codes.
func TestAccWorkflowRun_agentVolume(t *testing.T) {
	t.Parallel()
	s, store := newSetting(t), redisClient(t)
	s.register(t)
	config := s.run(t, "volume", `
  agent_volume = true
  start_ahead  = true
  inputs       = { word = { content = "hello" } }
  defaults     = { image = "$TOOLS" }
  steps = {
    first = { command = ["sh", "-c", "echo $(cat /data/word) there > /data/first"], run_as_user = 1234 }
    then  = { command = ["sh", "-c", "echo again >> /data/first"], needs = ["first"], run_as_user = 4321 }
    many  = { command = ["sh", "-c", "echo $BRANE_ITEM $(cat /data/first) > /data/out.$BRANE_INDEX"], for_each = ["Ada", "Grace"], needs = ["then"] }
    join  = { command = ["sh", "-c", "cat /data/out.* > /data/all"], needs = ["many"] }
    pair  = { package = "probe:0.4.0", function = "pair", arguments = { left = { string = "é" }, right = { integer = 1 } }, brane_version = "0.4.1" }
    left  = { package = "probe:0.5.0", function = "left", arguments = { pair = { step = "pair" } }, brane_version = "0.5" }
    sum   = { package = "probe:0.6.0", function = "sum", arguments = { numbers = { integers = [1, 2] } } }
    own   = { command = ["sh", "-c", "exit 201"], allow_failure = true }
    hides = { package = "probe:0.5.0", function = "fails", brane_version = "0.5", allow_failure = true }
    tries = { command = ["sh", "-c", "test -n \"$(ls /brane/image/brane-agent)\"; exit 7"], allow_failure = true, retries = 1 }
  }
  outputs = { all = { path = "all" } }`)
	ended := func(code int64, attempts int64) knownvalue.Check {
		return knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"status": knownvalue.StringExact("failed"), "exit_code": knownvalue.Int64Exact(code), "attempts": knownvalue.Int64Exact(attempts),
		})
	}
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: inProcess,
		CheckDestroy:             func(*terraform.State) error { return nothingInRedis(context.Background(), store, id) },
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					runValue("status", knownvalue.StringExact("succeeded")),
					runValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"all": output("all", "Ada hello there again\nGrace hello there again\n")})),
					runValue("results", knownvalue.MapPartial(map[string]knownvalue.Check{
						"pair": gave("Pair", `{"left":"é","right":1}`), "left": gave("string", `"é"`), "sum": gave("integer", "3"),
						"own": ended(201, 1), "hides": ended(3, 1), "tries": ended(7, 2),
					})),
				},
				Check: func(state *terraform.State) (err error) {
					if id, err = runID(state); err != nil {
						return err
					}
					return s.noInitContainers(t.Context())
				},
			},
			{ // the other way it is the same run
				Config: strings.Replace(config, "agent_volume = true", "agent_volume = false", 1),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(runAddress, plancheck.ResourceActionUpdate),
				}},
				Check: func(state *terraform.State) error {
					if now, err := runID(state); err != nil || now != id {
						return fmt.Errorf("the run is %s, not %s (%w)", now, id, err)
					}
					return nil
				},
			},
		},
	})
}

// noInitContainers checks the pods of all steps.
func (s setting) noInitContainers(ctx context.Context) error {
	var pods corev1.PodList
	if err := s.client.List(ctx, &pods, s.namespace, workflow.StepLabel); err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if len(pod.Spec.InitContainers) > 0 {
			return fmt.Errorf("pod %s has an init container", pod.Name)
		}
	}
	if len(pods.Items) == 0 {
		return fmt.Errorf("there are no pods")
	}
	return nil
}

// The engine inside the cluster makes the same pods.
func TestAccWorkflowRun_agentVolumeInside(t *testing.T) {
	t.Parallel()
	s := newSurvival(t, "volume-inside", "wait = false\nagent_volume = true", "/wait")
	s.cli.run(t, "apply", "-auto-approve", "-no-color")
	s.atWork(t)
	close(s.server.release)
	if got := s.over(t); got != workflow.RunSucceeded {
		t.Fatalf("the run has %s", got)
	}
	must(t, s.noInitContainers(t.Context()))
	s.ends(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.leavesNothing(t)
}

// What is wrong with the agent is told as such, in both ways.
func TestAccWorkflowRun_agentFails(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
	s.register(t)
	for name, tt := range map[string]struct {
		attributes, provider string
		want                 []string
	}{
		"no-agent":        {"image_grace = \"2s\"", "agent_image = \"$REGISTRY/no-such-agent:1\"", []string{`/no-such-agent:1`, `not found`, `Correct agent_image of the provider, or see that the node can pull it`}},
		"no-agent-volume": {"image_grace = \"2s\"\nagent_volume = true", "agent_image = \"$REGISTRY/no-such-agent:1\"", []string{`/no-such-agent:1`, `not found`, `Correct agent_image of the provider, or see that the node can pull it`}},
		"no-image-volume": {"image_grace = \"2s\"\nagent_volume = true\ndefaults = { image = \"$REGISTRY/no-such-image:1\" }", "", []string{`/no-such-image:1`, `Correct the step's image`}},
		"no-redis-volume": {
			"agent_volume = true", "redis = { acl_users = \"off\", cluster_url = \"redis://:wr0ng-pass-word@" + strings.SplitAfter(s.variable(t, "BRANE_REDIS_CLUSTER_URL"), "@")[1] + "\" }",
			[]string{`its files could not be staged in (exit code 201)`, `redis refuses the user name or password`, `check user and password in redis.cluster_url`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := "image = \"$TOOLS\", "
			if strings.Contains(tt.attributes, "defaults") {
				image = ""
			}
			config := s.run(t, name, tt.attributes+"\nsteps = { works = { "+image+"command = [\"true\"] } }")
			config = strings.Replace(config, "provider \"brane\" {", "provider \"brane\" {\n  "+strings.ReplaceAll(tt.provider, "$REGISTRY", s.variable(t, "BRANE_REGISTRY")), 1)
			failing(t, resource.TestStep{Config: config}, append([]string{fmt.Sprintf("Step \"works\" of run %q failed", name)}, tt.want...))
		})
	}
}
