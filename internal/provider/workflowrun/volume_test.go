package workflowrun_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Whatever a run has, it has with an init container and without: a chain, made early, a step that is many, calls of packages, exit codes.
func TestAccWorkflowRun_agentVolume(t *testing.T) {
	t.Parallel()
	for agent, injection := range map[string]workflow.AgentInjection{"/brane/image/brane-agent": workflow.InjectImageVolume, "/brane/brane-agent": workflow.InjectInitContainer} {
		t.Run(agent, func(t *testing.T) {
			t.Parallel()
			clustertest.RequireImageVolumes(t)
			bothWays(t, agent, injection)
		})
	}
}

func bothWays(t *testing.T, agent string, injection workflow.AgentInjection) {
	t.Helper()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	other := workflow.InjectInitContainer
	if injection == other {
		other = workflow.InjectImageVolume
	}
	set := fmt.Sprintf("agent_injection = %q", injection)
	config := s.RunConfig(t, "volume", set+`
  prewarm = true
  inputs       = { word = { content = "hello" } }
  defaults     = { image = "$TOOLS" }
  steps = {
    first = { command = ["sh", "-c", "echo $(cat /data/word) there > /data/first"], security_context = { run_as_user = 1234 } }
    then  = { command = ["sh", "-c", "echo again >> /data/first"], needs = ["first"], security_context = { run_as_user = 4321 } }
    many  = { command = ["sh", "-c", "echo $BRANE_ITEM $(cat /data/first) > /data/out.$BRANE_INDEX"], items = ["Ada", "Grace"], needs = ["then"] }
    join  = { command = ["sh", "-c", "cat /data/out.* > /data/all"], needs = ["many"] }
    pair  = { package = "probe:0.4.0", function = "pair", arguments = { left = { string = "é" }, right = { integer = 1 } }, brane_version = "0.4.1" }
    left  = { package = "probe:0.5.0", function = "left", arguments = { pair = { step = "pair" } }, brane_version = "0.5" }
    sum   = { package = "probe:0.6.0", function = "sum", arguments = { numbers = { integers = [1, 2] } } }
    own   = { command = ["sh", "-c", "exit 201"], allow_failure = true }
    hides = { package = "probe:0.5.0", function = "fails", brane_version = "0.5", allow_failure = true }
    tries = { command = ["sh", "-c", "test -n \"$(ls `+agent+`)\"; exit 7"], allow_failure = true, retries = 1 }
  }
  outputs = { all = { path = "all" } }`)
	ended := func(code int64, attempts int64) knownvalue.Check {
		return knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"status": knownvalue.StringExact("failed"), "exit_code": knownvalue.Int64Exact(code), "attempts": knownvalue.Int64Exact(attempts),
		})
	}
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"all": acctest.ExpectOutput("all", "Ada hello there again\nGrace hello there again\n")})),
					acctest.ExpectRunValue("results", knownvalue.MapPartial(map[string]knownvalue.Check{
						"pair": expectReturned("Pair", `{"left":"é","right":1}`), "left": expectReturned("string", `"é"`), "sum": expectReturned("integer", "3"),
						"own": ended(201, 1), "hides": ended(3, 1), "tries": ended(7, 2),
					})),
				},
				Check: func(state *terraform.State) (err error) {
					if id, err = acctest.RunID(state); err != nil {
						return err
					}
					return checkAgentInjection(t.Context(), s, workflow.StepLabel, injection == workflow.InjectImageVolume)
				},
			},
			{ // the other way it is the same run
				Config: strings.Replace(config, set, fmt.Sprintf("agent_injection = %q", other), 1),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
				}},
				Check: func(state *terraform.State) error {
					if now, err := acctest.RunID(state); err != nil || now != id {
						return fmt.Errorf("the run is %s, not %s (%w)", now, id, err)
					}
					return nil
				},
			},
		},
	})
}

// checkAgentInjection checks by which way the agent came into pods: by a volume, or by an init container.
func checkAgentInjection(ctx context.Context, s acctest.Env, labels string, byVolume bool) error {
	var pods corev1.PodList
	if err := s.Client.List(ctx, &pods, s.Namespace, labels); err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if without := len(pod.Spec.InitContainers) == 0; without != byVolume {
			return fmt.Errorf("pod %s is without an init container: %t", pod.Name, without)
		}
	}
	if len(pods.Items) == 0 {
		return fmt.Errorf("there are no pods")
	}
	return nil
}

// Where nobody has said it, the nodes say whether the agent is a volume; so the provider has to see them, and the run to have a Redis user of its own.
func TestAccWorkflowRun_agentVolumeByDefault(t *testing.T) {
	t.Parallel()
	clustertest.RequireImageVolumes(t)
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	blind := s.CreateServiceAccount(t, s.Namespace, "blind").Kubeconfig
	own, err := os.ReadFile(clustertest.Getenv(t, acctest.KubeconfigVariable))
	acctest.NoError(t, err)
	elsewhere := []byte(strings.ReplaceAll(string(own), s.Client.Host(), s.Getenv(t, "BRANE_API_CLUSTER_URL"))) // not the registered address
	kubernetes := func(kubeconfig []byte) string {
		file := filepath.Join(t.TempDir(), "kubeconfig")
		acctest.NoError(t, os.WriteFile(file, kubeconfig, 0o600))
		return fmt.Sprintf("kubernetes = { config_path = %q }", file)
	}
	for name, tt := range map[string]struct {
		attributes, provider string
		byVolume             bool
	}{
		"by-itself":        {"", "", true},
		"own-user":         {"", `redis = { acl_users = "require" }`, true},
		"shared-user":      {"", `redis = { acl_users = "off" }`, false},
		"no-right":         {"", kubernetes(blind), false},
		"another-address":  {"", kubernetes(elsewhere), false},
		"by-the-provider":  {`submit_with = "provider"`, "", true},
		"as-asked":         {`agent_injection = "init_container"`, "", false},
		"as-asked-blindly": {`agent_injection = "image_volume"`, kubernetes(blind), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := s.RunConfig(t, name, tt.attributes+"\nsteps = { works = { image = \"$TOOLS\", command = [\"true\"] } }")
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{{
					Config:            strings.Replace(config, "provider \"brane\" {", "provider \"brane\" {\n  "+tt.provider, 1),
					ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded"))},
					Check: func(state *terraform.State) error {
						id, err := acctest.RunID(state)
						if err != nil {
							return err
						}
						return checkAgentInjection(t.Context(), s, workflow.RunLabel+"="+id, tt.byVolume)
					},
				}},
			})
		})
	}
}

// What is wrong with the agent is told as such, in both ways.
func TestAccWorkflowRun_agentFails(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	for name, tt := range map[string]struct {
		attributes, provider string
		want                 []string
	}{
		"no-agent":        {"startup_timeout = \"2s\"\nagent_injection = \"init_container\"", "agent_image = \"$REGISTRY/no-such-agent:1\"", []string{`/no-such-agent:1`, `not found`, `Correct agent_image of the provider, or make sure that the node can pull it`}},
		"no-agent-volume": {"startup_timeout = \"2s\"\nagent_injection = \"image_volume\"", "agent_image = \"$REGISTRY/no-such-agent:1\"", []string{`/no-such-agent:1`, `not found`, `Correct agent_image of the provider, or make sure that the node can pull it`}},
		"no-image-volume": {"startup_timeout = \"2s\"\nagent_injection = \"image_volume\"\ndefaults = { image = \"$REGISTRY/no-such-image:1\" }", "", []string{`/no-such-image:1`, `Correct the step's image`}},
		"no-redis-volume": {
			`agent_injection = "image_volume"`, "redis = { acl_users = \"off\", pod_url = \"redis://:wr0ng-pass-word@" + strings.SplitAfter(s.Getenv(t, "BRANE_REDIS_POD_URL"), "@")[1] + "\" }",
			[]string{`its files could not be staged in (exit code 201)`, `redis refuses the user name or password`, `check user and password in redis.pod_url`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(tt.attributes, "image_volume") {
				clustertest.RequireImageVolumes(t)
			}
			image := "image = \"$TOOLS\", "
			if strings.Contains(tt.attributes, "defaults") {
				image = ""
			}
			config := s.RunConfig(t, name, tt.attributes+"\nsteps = { works = { "+image+"command = [\"true\"] } }")
			config = strings.Replace(config, "provider \"brane\" {", "provider \"brane\" {\n  "+strings.ReplaceAll(tt.provider, "$REGISTRY", s.Getenv(t, "BRANE_REGISTRY")), 1)
			acctest.ExpectError(t, resource.TestStep{Config: config}, append([]string{fmt.Sprintf("Step \"works\" of run %q failed", name)}, tt.want...))
		})
	}
}
