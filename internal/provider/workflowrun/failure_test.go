package workflowrun_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

func TestAccWorkflowRun_fails(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"image": {
			// The run's own time must not be what ends it: an image that is not there is told within a minute.
			`steps = { pull = { image = "$REGISTRY/no-such-image:1", command = ["true"] } }
			 timeouts = { create = "59s" }`,
			[]string{`Step "pull" of run "image" failed`, `/no-such-image:1`, `ImagePull`, `not found`, `Correct the step's image, or make sure that the node can pull it`},
		},
		"conflict-at-the-end": {
			`steps = {
			   left  = { image = "$TOOLS", command = ["sh", "-c", "echo left > /data/side"] }
			   right = { image = "$TOOLS", command = ["sh", "-c", "echo right > /data/side"] }
			 }
			 outputs = { side = { path = "side" } }`,
			[]string{`Failed to read outputs`, `steps "left" and "right" wrote different content to "side"`, `Add one of the steps to`},
		},
		"program": {
			`steps = { none = { image = "$TOOLS", command = ["no-such-program"] } }`,
			[]string{`Step "none" of run "program" failed`, `exit code 127`, `no-such-program`},
		},
		"device": {
			`steps = { trains = { image = "$TOOLS", command = ["true"], resources = { limits = { "example.com/fpga" = 1 } } } }
			 scheduling_timeout = "2s"`,
			[]string{`Step "trains" of run "device" failed`, `Unschedulable: 0/`, `1 Insufficient example.com/fpga`, `No node fits the pod: `, `request less (of the step or of defaults), or add a node: kubectl -n`},
		},
		"secret": {
			`steps = { asks = { image = "$TOOLS", command = ["true"], env_from_secret = { TOKEN = { secret = "nowhere", key = "token" } } } }
			 startup_timeout = "2s"`,
			[]string{`Step "asks" of run "secret" failed`, `CreateContainerConfigError: secret "nowhere" not found`},
		},
		"volume": {
			`steps = { mounts = { image = "$TOOLS", command = ["true"], volumes = { x = { mount_path = "/x", secret = "nowhere" } } } }
			 startup_timeout = "2s"
			 timeouts = { create = "59s" }`,
			[]string{`Step "mounts" of run "volume" failed`, `FailedMount: MountVolume.SetUp failed for volume "x" : secret "nowhere" not found`, `Correct what the message names, or ask for it to be created or allowed: kubectl -n`},
		},
		"account": {
			`steps = { acts = { image = "$TOOLS", command = ["true"], service_account_name = "nowhere" } }
			 startup_timeout = "2s"
			 timeouts = { create = "59s" }`,
			[]string{`Step "acts" of run "account" failed`, `FailedCreate: Error creating: pods "brane-account-`, `serviceaccount "nowhere" not found`, `The pod refers to "nowhere", which does not exist. Create it, or correct the name (service_account_name`},
		},
		"priority": {
			`steps = { waits = { image = "$TOOLS", command = ["true"], priority_class_name = "nowhere" } }
			 startup_timeout = "2s"
			 timeouts = { create = "59s" }`,
			[]string{`Step "waits" of run "priority" failed`, `FailedCreate: Error creating: pods "brane-priority-`, `no PriorityClass with name nowhere was found`},
		},
		"runtime": {
			`steps = { walls = { image = "$TOOLS", command = ["true"], runtime_class_name = "nowhere" } }
			 startup_timeout = "2s"
			 timeouts = { create = "59s" }`,
			[]string{`Step "walls" of run "runtime" failed`, `FailedCreate: Error creating: pods "brane-runtime-`, `RuntimeClass "nowhere" not found`},
		},
		"told": {
			`steps = { tells = { image = "$TOOLS", command = ["sh", "-c", "echo my token is $TOKEN; exit 4"] } }
			 secret_env_wo = { tells = { TOKEN = "hush-hush" } }
			 secret_env_wo_version = 1`,
			[]string{`Step "tells" of run "told" failed`, `my token is (secret)`},
		},
		"killed": {
			`steps = { kills = { image = "$TOOLS", command = ["sh", "-c", "echo last words; kill -9 $$"] } }`,
			[]string{`Step "kills" of run "killed" failed`, `exit code 137`, `last words`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, name, tt.body)}, tt.want)
		})
	}
}

// A step that exits 3 after printing a line; then the step is mended.
func TestAccWorkflowRun_exitCode(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	const body = `
		steps = {
		  first = { image = "$TOOLS", command = ["sh", "-c", "echo kept > /data/kept"] }
		  boom  = { image = "$TOOLS", command = ["sh", "-c", "echo the abacus is full; exit 3"], needs = ["first"] }
		  then  = { image = "$TOOLS", command = ["true"], needs = ["boom"] }
		  last  = { image = "$TOOLS", command = ["true"], needs = ["then"] }
		}`
	config := s.RunConfig(t, "exit", body)
	acctest.ExpectError(t, resource.TestStep{Config: config}, []string{
		`Step "boom" of run "exit" failed`, `boom = {`, `the command failed with exit code 3`, `Last lines: the abacus is full`, `Because of this 2 of 4 steps were stopped or not started`,
	}, resource.TestStep{ // what is known of the failure is kept until the next apply
		Config: config, PlanOnly: true, ExpectNonEmptyPlan: true,
		ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
			plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionReplace),
			hadResults{"first": "succeeded", "boom": "failed", "then": "skipped", "last": "skipped"},
		}},
	}, resource.TestStep{
		Config:            strings.Replace(config, "exit 3", "exit 0", 1),
		ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded"))},
	})
}

// A Redis that does not let us in: nothing is made in the cluster, and the password is not told.
func TestAccWorkflowRun_redisPassword(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	const steps = `steps = { idle = { image = "$TOOLS", command = ["true"] } }`
	const wrong = "not-the-pass-word"
	// The steps would get a user of their own, and a password that is not the one of the URL.
	with := func(attribute, variable string) string {
		url := clustertest.Getenv(t, variable)
		_, host, _ := strings.Cut(url, "@")
		return strings.Replace(s.RunConfig(t, "password", steps), "provider \"brane\" {", fmt.Sprintf("provider \"brane\" {\n  redis = { acl_users = \"off\", %s = %q }", attribute, "redis://:"+wrong+"@"+host), 1)
	}
	silent := func(err error) error {
		if strings.Contains(err.Error(), wrong) {
			return fmt.Errorf("the error tells the password: %w", err)
		}
		return nil
	}
	for name, tt := range map[string]struct {
		config string
		want   []string
		left   func() error
	}{
		"of the provider": {
			with("url", "BRANE_REDIS_URL"),
			[]string{`Failed to connect to Redis`, `redis refuses the user name or password`, `Correct user and password in redis.url`},
			func() error { return s.CheckNoRunObjects(t.Context()) },
		},
		"of the steps": {
			with("pod_url", "BRANE_REDIS_POD_URL"),
			[]string{`Step "idle" of run "password" failed`, `its files could not be staged in`, `redis refuses the user name or password`, `check user and password in redis.pod_url`},
			func() error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) { // one after another: the second makes what the first must not
			failed := false
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				ErrorCheck: func(err error) error {
					failed = true
					return errors.Join(acctest.CheckError(err, tt.want...), silent(err), tt.left())
				},
				Steps: []resource.TestStep{{Config: tt.config}},
			})
			if !failed {
				t.Error("there was no error")
			}
		})
	}
}

// hadResults checks what became of the steps of a run that is to be replaced.
type hadResults map[string]string

func (h hadResults) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, change := range req.Plan.ResourceChanges {
		if change.Address != acctest.RunAddress {
			continue
		}
		want := map[string]knownvalue.Check{}
		for step, status := range h {
			want[step] = knownvalue.ObjectPartial(map[string]knownvalue.Check{"status": knownvalue.StringExact(status)})
		}
		found, err := tfjsonpath.Traverse(change.Change.Before, tfjsonpath.New("results"))
		if err == nil {
			err = knownvalue.MapExact(want).CheckValue(found)
		}
		resp.Error = err
		return
	}
	resp.Error = errors.New("the plan holds nothing about the run")
}
