package workflowrun_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Tests of which steps run again after a change, what the plan shows of that, and what the outputs are. Each command counts its start in Redis.

// incremental is a run whose configuration changes.
type incremental struct {
	acctest.Env
	t      *testing.T
	redis  *redis.Client
	counts string // the Redis key of the counts, which does not belong to the run
	id     string
}

func newIncremental(t *testing.T) *incremental {
	t.Helper()
	i := &incremental{Env: acctest.NewEnv(t), t: t, redis: acctest.RedisClient(t)}
	i.counts = "ran:" + i.Namespace
	i.RegisterInfrastructure(t)
	t.Cleanup(func() { acctest.NoError(t, i.redis.Del(context.Background(), i.counts).Err()) })
	return i
}

// config returns the configuration of a run. In its commands, $RAN/name counts a start.
func (i *incremental) config(body string) string {
	i.t.Helper()
	return i.RunConfig(i.t, "changing", heldrun.CountInRedis(i.t, i.Env, i.counts, body))
}

// edition is a configuration, with what happens before and what is expected.
type edition struct {
	what    string
	before  func()
	body    string
	action  plancheck.ResourceActionType
	plans   string // the steps whose results are unknown in the plan
	ran     string // how often the commands were started up to then
	content string // of the output "all"
	errors  string // a pattern of the error
	more    []plancheck.PlanCheck
}

// test applies editions one after the other.
func (i *incremental) test(editions ...edition) {
	i.t.Helper()
	var steps []resource.TestStep
	for _, e := range editions {
		step := resource.TestStep{Config: i.config(e.body), PreConfig: func() {
			i.t.Log(e.what)
			if e.before != nil {
				e.before()
			}
		}}
		if e.action != "" {
			step.ConfigPlanChecks = resource.ConfigPlanChecks{PreApply: append([]plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, e.action), plannedSteps(e.plans)}, e.more...)}
		}
		if e.errors != "" {
			step.ExpectError = regexp.MustCompile(e.errors)
			steps = append(steps, step)
			continue
		}
		step.Check = func(state *terraform.State) error {
			run := state.RootModule().Resources[acctest.RunAddress].Primary
			if i.id == "" {
				i.id = run.ID
			}
			if got := i.countStarts(); got != e.ran {
				return fmt.Errorf("%s: the steps were started: %s\nwant: %s", e.what, got, e.ran)
			}
			if got := run.Attributes["outputs.all.content"]; got != e.content {
				return fmt.Errorf("%s: the output is %q, want %q", e.what, got, e.content)
			}
			if run.ID != i.id {
				return fmt.Errorf("%s: the run was %s and is %s", e.what, i.id, run.ID)
			}
			return nil
		}
		steps = append(steps, step)
	}
	resource.Test(i.t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), i.redis, i.id) },
		Steps:                    steps,
	})
}

// countStarts returns the number of starts of each command.
func (i *incremental) countStarts() string {
	i.t.Helper()
	counts, err := i.redis.HGetAll(i.t.Context(), i.counts).Result()
	acctest.NoError(i.t, err)
	var all []string
	for _, step := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, step+" "+counts[step])
	}
	return strings.Join(all, ", ")
}

// plannedSteps checks which steps may run according to the plan: their results are unknown, and those of the other steps are unchanged.
type plannedSteps string

// CheckPlan implements [plancheck.PlanCheck].
func (want plannedSteps) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, change := range req.Plan.ResourceChanges {
		if change.Address != acctest.RunAddress {
			continue
		}
		after, _ := change.Change.AfterUnknown.(map[string]any)
		before, _ := change.Change.Before.(map[string]any)
		planned, _ := change.Change.After.(map[string]any)
		if after["results"] == true {
			resp.Error = fmt.Errorf("all results are unknown")
			return
		}
		results, _ := after["results"].(map[string]any)
		was, _ := before["results"].(map[string]any)
		now, _ := planned["results"].(map[string]any)
		var unknown []string
		for name, is := range results {
			if is == true {
				unknown = append(unknown, name)
				continue
			}
			if fmt.Sprint(was[name]) != fmt.Sprint(now[name]) {
				resp.Error = fmt.Errorf("the planned result of %s is %v, and was %v", name, now[name], was[name])
			}
		}
		slices.Sort(unknown)
		if got := strings.Join(unknown, " "); got != string(want) {
			resp.Error = fmt.Errorf("according to the plan %q may run, want %q", got, want)
		}
		return
	}
	resp.Error = fmt.Errorf("the plan does not contain %s", acctest.RunAddress)
}

// edit replaces a text in a configuration.
func edit(t *testing.T, body string, pairs ...string) string { //nolint:unparam // the long tests edit other bodies
	t.Helper()
	for n := 0; n < len(pairs); n += 2 {
		if !strings.Contains(body, pairs[n]) {
			t.Fatalf("the configuration holds no %s", pairs[n])
		}
		body = strings.Replace(body, pairs[n], pairs[n+1], 1)
	}
	return body
}

func TestAccIncremental_fanOut(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update = plancheck.ResourceActionUpdate
	const fan = `
  defaults = { image = "$TOOLS" }
  steps = {
    fan  = { command = ["sh", "-ec", "$RAN/fan$BRANE_ITEM; echo $BRANE_ITEM > /data/part.$BRANE_INDEX"], items = ["a", "b"] }
    join = { command = ["sh", "-ec", "$RAN/join; cat /data/part.* > /data/all"], needs = ["fan"] }
  }
  outputs = { all = { path = "all" } }`
	i.test(
		edition{what: "create", body: fan, ran: "fana 1, fanb 1, join 1", content: "a\nb\n"},
		edition{what: "an item more", body: edit(t, fan, `"a", "b"`, `"a", "b", "c"`), action: update, plans: "fan join", ran: "fana 1, fanb 1, fanc 1, join 2", content: "a\nb\nc\n"},
		edition{what: "another item", body: edit(t, fan, `"a", "b"`, `"a", "d", "c"`), action: update, plans: "fan join", ran: "fana 1, fanb 1, fanc 1, fand 1, join 3", content: "a\nd\nc\n"},
		edition{what: "an item less", body: edit(t, fan, `"a", "b"`, `"a", "d"`), action: update, plans: "fan join", ran: "fana 1, fanb 1, fanc 1, fand 1, join 4", content: "a\nd\n"},
		edition{what: "parallelism", body: edit(t, fan, `"a", "b"]`, `"a", "d"], parallelism = 1`), action: update, ran: "fana 1, fanb 1, fanc 1, fand 1, join 4", content: "a\nd\n"},
	)
}

// A run is executed by an engine in the cluster: a change while it runs, and one when it has ended.
func TestAccIncremental_waitNot(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "altered", "/wait")
	s.AwaitSlowStep(t)
	s.ChangeConfig(t, "; cat /data/first", "; true; cat /data/first") // of the last step, which has not started
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.Server.Release()
	s.AwaitStatus(t, workflow.RunSucceeded)
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.ChangeConfig(t, "; true; cat /data/first", "; cat /data/first")
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitStatus(t, workflow.RunSucceeded)
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 2})
	s.CheckNothingLeft(t)
}

// The provider is killed in the middle of an update. The state is the old one: the next apply continues, and destroy deletes everything.
func TestAccIncremental_killed(t *testing.T) {
	t.Parallel()
	for name, continues := range map[string]bool{"then applied": true, "then destroyed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := heldrun.NewRun(t, "killed", "", "/wait")
			s.Server.Release()
			s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
			s.ChangeConfig(t, "echo slow >", "wget -q -O /dev/null "+s.Server.URL+"/finish; echo slow >")
			for range 2 {
				arrived := s.Server.Arrivals.Load()
				a := heldrun.StartApply(t, s.CLI)
				s.Server.AwaitArrivals(t, arrived+1)
				a.KillProvider(t)
				testenv.Receive(t, "the end of the CLI", a.Ended)
				if continues {
					s.Server.Finish()
					s.CheckEnd(t, map[string]int{"first": 1, "slow": 2, "last": 1}) // the last step sees the same files
					break
				}
				s.ChangeConfig(t, "echo slow >", "true; echo slow >") // so that the next one does not adopt the step
			}
			s.CheckNothingLeft(t)
		})
	}
}
