//go:build long

package workflowrun_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// chain is a run whose steps each see only what they read:
//
//	first ── middle ── last
//	     └── other ──┘
const chain = `
  inputs = { names = { content = "Ada Grace" }, title = { content = "Names" } }
  defaults = { image = "$TOOLS" }
  steps = {
    first  = { command = ["sh", "-ec", "$RAN/first; wc -w < /data/names > /data/count"], reads = ["names"] }
    middle = { command = ["sh", "-ec", "$RAN/middle; echo middle $(cat /data/count) > /data/middle"], needs = ["first"], reads = ["count"] }
    other  = { command = ["sh", "-ec", "$RAN/other; echo other $(cat /data/title) > /data/other"], needs = ["first"], reads = ["title"] }
    last   = { command = ["sh", "-ec", "$RAN/last; cat /data/middle /data/other > /data/all"], needs = ["middle", "other"], reads = ["middle", "other"] }
  }
  outputs = { all = { path = "all" } }
`

const (
	chainOnce = "first 1, last 1, middle 1, other 1"
	chainAll  = "middle 2\nother Names\n"
)

func TestLongAccIncremental_changes(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update, noop = plancheck.ResourceActionUpdate, plancheck.ResourceActionNoop
	limit := edit(t, chain, `reads = ["middle", "other"]`, `reads = ["middle", "other"], resources = { limits = { memory = "64Mi" } }`)
	command := edit(t, limit, "echo middle", "echo MIDDLE")
	input := edit(t, command, `"Names"`, `"Title"`)
	cutoff := edit(t, input, "Ada Grace", "Ada Barbara")
	i.test(
		edition{what: "create", body: chain, ran: chainOnce, content: chainAll},
		edition{what: "nothing", body: chain, action: noop, ran: chainOnce, content: chainAll},
		edition{what: "a memory limit", body: limit, action: update, ran: chainOnce, content: chainAll},
		edition{what: "a command in the middle", body: command, action: update, plans: "last middle", ran: "first 1, last 2, middle 2, other 1", content: "MIDDLE 2\nother Names\n"},
		edition{what: "back to the earlier command", body: limit, action: update, plans: "last middle", ran: "first 1, last 2, middle 2, other 1", content: chainAll},
		edition{what: "and forth", body: command, action: update, plans: "last middle", ran: "first 1, last 2, middle 2, other 1", content: "MIDDLE 2\nother Names\n"},
		edition{what: "an input that one step reads", body: input, action: update, plans: "last other", ran: "first 1, last 3, middle 2, other 2", content: "MIDDLE 2\nother Title\n"},
		edition{what: "an input, but the first step writes the same", body: cutoff, action: update, plans: "first last middle other", ran: "first 2, last 3, middle 2, other 2", content: "MIDDLE 2\nother Title\n"},
	)
}

func TestLongAccIncremental_steps(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update = plancheck.ResourceActionUpdate
	added := edit(t, chain, "    last ", `    beside = { command = ["sh", "-ec", "$RAN/beside"], needs = ["first"], reads = ["count"] }`+"\n    last ")
	renamed := edit(t, chain, "    other ", "    another ", `needs = ["middle", "other"]`, `needs = ["middle", "another"]`)
	i.test(
		edition{what: "create", body: chain, ran: chainOnce, content: chainAll},
		edition{what: "a step is added", body: added, action: update, plans: "beside", ran: "beside 1, " + chainOnce, content: chainAll},
		edition{what: "and removed", body: chain, action: update, ran: "beside 1, " + chainOnce, content: chainAll},
		edition{what: "a step is renamed", body: renamed, action: update, plans: "another last", ran: "beside 1, first 1, last 1, middle 1, other 2", content: chainAll},
	)
}

func TestLongAccIncremental_triggers(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update = plancheck.ResourceActionUpdate
	secret := edit(t, chain, "  outputs", "  secret_env_wo = { other = { WORD = \"s3cret\" } }\n  secret_env_wo_version = 1\n  outputs")
	version := edit(t, secret, "version = 1", "version = 2")
	step := edit(t, version, `needs = ["first"], reads = ["count"]`, `needs = ["first"], reads = ["count"], triggers = { release = "2" }`)
	run := edit(t, step, "  outputs", "  triggers = { release = \"3\" }\n  outputs")
	uncached := edit(t, run, `reads = ["title"]`, `reads = ["title"], cache = false`)
	i.test(
		edition{what: "create", body: secret, ran: chainOnce, content: chainAll},
		edition{what: "the version of a secret", body: version, action: update, plans: "last other", ran: "first 1, last 1, middle 1, other 2", content: chainAll},
		edition{what: "triggers of a step", body: step, action: update, plans: "last middle", ran: "first 1, last 1, middle 2, other 2", content: chainAll},
		edition{what: "triggers of the run", body: run, action: update, plans: "first last middle other", ran: "first 2, last 2, middle 3, other 3", content: chainAll},
		edition{what: "not cached", body: uncached, action: update, ran: "first 2, last 2, middle 3, other 3", content: chainAll},
		edition{what: "not cached, and no change", body: uncached, action: plancheck.ResourceActionNoop, ran: "first 2, last 2, middle 3, other 3", content: chainAll},
		edition{what: "not cached, and another step", body: edit(t, uncached, `release = "2"`, `release = "4"`), action: update, plans: "last middle other", ran: "first 2, last 2, middle 4, other 4", content: chainAll},
	)
}

func TestLongAccIncremental_gone(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update, noop = plancheck.ResourceActionUpdate, plancheck.ResourceActionNoop
	last := edit(t, chain, "cat /data/middle", "cat /data/./middle")
	middle := edit(t, last, "echo middle", "echo MIDDLE")
	i.test(
		edition{what: "create", body: chain, ran: chainOnce, content: chainAll},
		edition{what: "retention has passed", before: i.expire("."), body: chain, action: noop, ran: chainOnce, content: chainAll},
		edition{what: "and the last step changes", body: last, action: update, plans: "first last middle other", ran: "first 2, last 2, middle 2, other 2", content: chainAll},
		edition{what: "a commit is gone", before: i.expire(":step:first:"), body: last, action: noop, ran: "first 2, last 2, middle 2, other 2", content: chainAll},
		edition{what: "and the next step changes", body: middle, action: update, plans: "first last middle other", ran: "first 3, last 3, middle 3, other 2", content: "MIDDLE 2\nother Names\n"},
	)
}

func TestLongAccIncremental_failed(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update = plancheck.ResourceActionUpdate
	broken := edit(t, chain, "$RAN/middle;", "$RAN/middle; false;")
	i.test(
		edition{what: "create", body: chain, ran: chainOnce, content: chainAll},
		edition{what: "a step fails", body: broken, action: update, plans: "last middle", errors: `Step "middle" of run "changing" failed`},
		edition{what: "a later one is changed, too", body: edit(t, broken, "cat /data/middle /data/other", "cat /data/other /data/middle"), action: update, plans: "last middle", errors: `Step "middle" of run "changing" failed`},
		edition{what: "the first is fixed", body: edit(t, chain, "echo middle", "echo MIDDLE", "cat /data/middle /data/other", "cat /data/other /data/middle"), action: update, plans: "last middle", ran: "first 1, last 2, middle 4, other 1", content: "other Names\nMIDDLE 2\n"},
	)
}

// An invalid image is an error of the apply, not of the plan. The run stays as it was.
func TestLongAccIncremental_invalid(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update = plancheck.ResourceActionUpdate
	body := func(image string) string {
		return edit(t, chain, `image = "$TOOLS"`, `image = terraform_data.image.output`) + "\n}\nresource \"terraform_data\" \"image\" {\n  input = \"" + image + "\"\n"
	}
	i.test(
		edition{what: "create", body: body("$TOOLS"), ran: chainOnce, content: chainAll},
		edition{what: "an image that is not valid", body: body("NOT AN IMAGE"), action: update, plans: "first last middle other", errors: `defaults\.image`},
		edition{what: "and back", body: body("$TOOLS"), action: update, plans: "first last middle other", ran: chainOnce, content: chainAll},
	)
}

// A chunk of a file is gone. The step that wrote it runs again when its files are needed.
func TestLongAccIncremental_chunkGone(t *testing.T) {
	t.Parallel()
	i := newIncremental(t)
	const update, noop = plancheck.ResourceActionUpdate, plancheck.ResourceActionNoop
	const large = `
  defaults = { image = "$TOOLS" }
  steps = {
    large = { command = ["sh", "-ec", "$RAN/large; head -c 2000000 /dev/zero > /data/large"], writes = ["large"] }
    size  = { command = ["sh", "-ec", "$RAN/size; wc -c < /data/large > /data/all"], needs = ["large"], writes = ["all"] }
  }
  outputs = { all = { path = "all" } }`
	dropLarge := func() {
		acctest.NoError(t, i.redis.Unlink(t.Context(), "brane:"+i.id+":c:"+acctest.SHA256(strings.Repeat("\x00", files.ChunkSize))).Err())
	}
	i.test(
		edition{what: "create", body: large, ran: "large 1, size 1", content: "2000000\n"},
		edition{what: "a chunk is gone", before: dropLarge, body: large, action: noop, ran: "large 1, size 1", content: "2000000\n"},
		edition{what: "and its reader changes", body: edit(t, large, "wc -c <", "wc -c  <"), action: update, plans: "size", ran: "large 2, size 2", content: "2000000\n"},
	)
}

// A second apply of the same configuration does not disturb the first.
func TestLongAccIncremental_twoApplies(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRun(t, "twice", "", "/wait")
	a := heldrun.StartApply(t, s.CLI)
	testenv.Receive(t, "the slow step to start", s.Server.Arrived)
	other := s.CopyCLI(t)
	cmd, out := other.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	if err := cmd.Run(); err == nil {
		t.Fatalf("the second apply did not fail:\n%s", out)
	}
	heldrun.CheckOutput(t, out, "Run locked by another apply")
	s.Server.Release()
	if got := a.Errors(t); got != "" {
		t.Fatal(got)
	}
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})

	// Another state with the same configuration adopts the run, and nothing runs again.
	other.Run(t, "apply", "-auto-approve", "-no-color")
	if got := s.CountStarts(t); got != "first 1, last 1, slow 1" {
		t.Errorf("the steps were started: %s", got)
	}
	// One with another configuration does not.
	third := s.CopyCLI(t)
	third.WriteFile(t, "main.tf", strings.Replace(s.ReadConfig(t), "echo slow >", "echo other >", 1))
	cmd, out = third.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	if err := cmd.Run(); err == nil {
		t.Fatalf("an apply with another configuration did not fail:\n%s", out)
	}
	heldrun.CheckOutput(t, out, "Run name in use", "its configuration differs in the steps slow", "Give this run another name")
	// The first state does not delete what belongs to the other one now.
	s.CLI.Run(t, "destroy", "-auto-approve", "-no-color")
	other.Run(t, "plan", "-detailed-exitcode", "-no-color")
	other.Run(t, "destroy", "-auto-approve", "-no-color")
	acctest.NoError(t, s.CheckNoRunObjects(t.Context()))
}

// expire deletes what Redis deletes when the retention has passed: the keys of the run that have a deadline and match a pattern.
func (i *incremental) expire(pattern string) func() {
	return func() {
		i.t.Helper()
		i.AwaitJobsEnd(i.t)
		keys, err := acctest.RunKeys(i.t.Context(), i.redis, i.id)
		acctest.NoError(i.t, err)
		expired := 0
		for _, key := range keys {
			ttl, err := i.redis.TTL(i.t.Context(), key).Result()
			acctest.NoError(i.t, err)
			if ttl > 0 && regexp.MustCompile(pattern).MatchString(key) {
				acctest.NoError(i.t, i.redis.Unlink(i.t.Context(), key).Err())
				expired++
			}
		}
		if expired == 0 {
			i.t.Errorf("of the keys %q none matches %s", keys, pattern)
		}
	}
}
