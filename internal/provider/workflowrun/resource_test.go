package workflowrun_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/redis/go-redis/v9"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// greetings is a run of three steps:
//
//	hello ─┐
//	       ├─ join
//	count ─┘
const greetings = `
resource "brane_workflow_run" "test" {
  name           = "greetings"
  infrastructure = "$NAMESPACE"
  inputs = {
    "names.txt"      = { content = "Ada\nGrace\n" }
    "more/names.txt" = { source = "$FOLDER/names.txt" }
  }
  steps = {
    hello = { image = "$TOOLS", command = ["sh", "-c", "cat /data/names.txt /data/more/names.txt | sed 's/^/Hello, /' > /data/hello"] }
    count = { image = "$TOOLS", command = ["sh", "-c", "cat /data/names.txt /data/more/names.txt | grep -c . > /data/count; printf '\\377\\000' > /data/bytes"] }
    join  = { image = "$TOOLS", command = ["sh", "-c", "cat /data/hello /data/count > /data/joined"], needs = ["hello", "count"] }
  }
  triggers = { release = "1" }
  outputs = {
    joined = { path = "joined" }
    bytes  = { path = "bytes" }
  }
}
`

func TestAccWorkflowRun(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	write := func(text string) {
		acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("names.txt"), []byte(text), 0o600))
	}
	write("Edsger\n")
	config := func(replacements ...string) string {
		body := strings.ReplaceAll(greetings, "$FOLDER", s.Directory)
		for i := 0; i < len(replacements); i += 2 {
			if !strings.Contains(body, replacements[i]) {
				t.Fatalf("the configuration holds no %s", replacements[i])
			}
			body = strings.Replace(body, replacements[i], replacements[i+1], 1)
		}
		return s.Config(t, body)
	}
	was := record{}
	const oneOutput = "joined = { path = \"joined\" }\n    bytes  = { path = \"bytes\" }"
	const others = "joined = { path = \"joined\" }\n    names  = { path = \"names.txt\" }"
	var ids []string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, ids...) },
		Steps: []resource.TestStep{
			{
				Config: config(),
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
					acctest.ExpectRunValue("namespace", knownvalue.StringExact(s.Namespace)),
					acctest.ExpectRunValue("drift", knownvalue.ListSizeExact(0)),
					acctest.ExpectRunValue("retention", knownvalue.StringExact("168h")),
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{
						"joined": acctest.ExpectOutput("joined", "Hello, Ada\nHello, Grace\nHello, Edsger\n3\n"),
						"bytes": knownvalue.ObjectExact(map[string]knownvalue.Check{
							"path": knownvalue.StringExact("bytes"), "size": knownvalue.Int64Exact(2), "sha256": knownvalue.StringExact(acctest.SHA256("\xff\x00")), "content": knownvalue.Null(),
						}),
					})),
					acctest.ExpectRunValue("inputs", knownvalue.MapPartial(map[string]knownvalue.Check{
						"names.txt":      knownvalue.ObjectPartial(map[string]knownvalue.Check{"sha256": knownvalue.StringExact(acctest.SHA256("Ada\nGrace\n"))}),
						"more/names.txt": knownvalue.ObjectPartial(map[string]knownvalue.Check{"sha256": knownvalue.StringExact(acctest.SHA256("Edsger\n"))}),
					})),
					acctest.ExpectRunValue("results", knownvalue.MapExact(map[string]knownvalue.Check{"hello": succeeded(), "count": succeeded(), "join": succeeded()})),
				},
				Check: func(state *terraform.State) (err error) {
					was, err = readRecord(t.Context(), s, store, state)
					ids = append(ids, was.id)
					return err
				},
			},
			{ // other outputs: taken in place, nothing runs again
				Config: config(oneOutput, others),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(acctest.RunAddress, tfjsonpath.New("status"), knownvalue.StringExact("succeeded")),
					plancheck.ExpectKnownValue(acctest.RunAddress, tfjsonpath.New("outputs").AtMapKey("joined"), acctest.ExpectOutput("joined", "Hello, Ada\nHello, Grace\nHello, Edsger\n3\n")),
					plancheck.ExpectUnknownValue(acctest.RunAddress, tfjsonpath.New("outputs").AtMapKey("names").AtMapKey("content")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{
						"joined": acctest.ExpectOutput("joined", "Hello, Ada\nHello, Grace\nHello, Edsger\n3\n"), "names": acctest.ExpectOutput("names.txt", "Ada\nGrace\n"),
					})),
				},
				Check: func(state *terraform.State) error { return checkUnchanged(t.Context(), s, store, state, was) },
			},
			{ // no output any more
				Config:            config("outputs = {\n    "+oneOutput+"\n  }", ""),
				ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("outputs", knownvalue.Null()), acctest.ExpectRunValue("outputs_digest", knownvalue.Null())},
				Check:             func(state *terraform.State) error { return checkUnchanged(t.Context(), s, store, state, was) },
			},
			{ // and back, though the Jobs were cleaned up meanwhile, as their TTL does
				PreConfig: func() {
					for step := range was.jobs {
						acctest.NoError(t, s.Client.Delete(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "brane-" + was.id + "-" + step + "-1"}}))
					}
					was.jobs = map[string]string{}
				},
				Config: config(),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate), // and no replacement
				}},
				Check: func(state *terraform.State) error { return checkUnchanged(t.Context(), s, store, state, was) },
			},
			expectExecution(config("Grace", "Barbara"), acctest.SHA256("Ada\nBarbara\n")),
			expectExecution(config("'s/^/Hello, /'", "'s/^/Good morning, /'"), acctest.SHA256("Ada\nGrace\n")),
			expectExecution(config(`"$TOOLS"`, `"$TOOLS@sha256:`+strings.Repeat("0", 64)+`"`), acctest.SHA256("Ada\nGrace\n")),
			expectExecution(config(`release = "1"`, `release = "2"`), acctest.SHA256("Ada\nGrace\n")),
			{ // a file that is a source has other content: the steps run again, in the same run
				PreConfig: func() { write("Barbara\n") },
				Config:    config(),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(acctest.RunAddress, inputSHA256("more/names.txt"), knownvalue.StringExact(acctest.SHA256("Barbara\n"))),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(acctest.RunAddress, tfjsonpath.New("outputs").AtMapKey("joined").AtMapKey("content"),
						knownvalue.StringExact("Hello, Ada\nHello, Grace\nHello, Barbara\n3\n")),
				},
				Check: func(state *terraform.State) error {
					id, err := acctest.RunID(state)
					if err != nil || id != was.id {
						return fmt.Errorf("the run was %s and is %s (%w)", was.id, id, err)
					}
					return nil
				},
			},
			{Config: s.ProviderBlock(), Check: func(*terraform.State) error { return s.CheckNoRunObjects(t.Context()) }},
		},
	})
}

// A step with all its attributes, in a run with nothing but steps.
func TestAccWorkflowRun_stepAlone(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	config := s.Config(t, `
resource "brane_workflow_run" "test" {
  name           = "alone"
  infrastructure = "$NAMESPACE"
  steps = {
    check = {
      image       = "$TOOLS"
      command     = ["sh", "-c"]
      args        = ["set -e; test \"$(id -u)\" = 1234; test \"$PWD\" = /tmp; test \"$WORD\" = 'two words'; test \"$PRICE\" = '$$5 $(WORD)'; kill -0 $$; test -z \"$(ls -A /data)\"; ! env | grep -i redis; echo done > /data/done"]
      env         = { WORD = "two words", PRICE = "$$5 $(WORD)" }
      working_dir = "/tmp"
      timeout     = "5m"
      security_context = { run_as_user = 1234 }
    }
  }
  outputs   = {}
  retention = "1h"
  timeouts  = { create = "10m", update = "1m", delete = "5m" }
}
`)
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
					acctest.ExpectRunValue("results", knownvalue.MapExact(map[string]knownvalue.Check{"check": succeeded()})),
					acctest.ExpectRunValue("outputs", knownvalue.MapSizeExact(0)),
					acctest.ExpectRunValue("outputs_digest", knownvalue.Null()),
				},
				Check: func(state *terraform.State) (err error) {
					id, err = acctest.RunID(state)
					return err
				},
			},
			{ // what is not kept may go
				PreConfig: func() {
					keys, err := acctest.RunKeys(t.Context(), store, id)
					acctest.NoError(t, err)
					acctest.NoError(t, store.Unlink(t.Context(), keys...).Err())
				},
				Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: acctest.NoChange},
			},
			{ // another bound for the next time is no reason to look at the run, of which nothing is left
				Config: strings.Replace(config, `update = "1m"`, `update = "2m"`, 1),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
				}},
			},
		},
	})
}

// What the outputs need stays when the deadline of the run has passed, and no more is missed; a large output that was changed is found by its size.
func TestAccWorkflowRun_deadlinePasses(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	const size = 2_500_000 // three chunks
	config := s.Config(t, `
resource "brane_workflow_run" "test" {
  name           = "stays"
  infrastructure = "$NAMESPACE"
  inputs         = { in = { content = "alice" } }
  steps = {
    write = { image = "$TOOLS", command = ["sh", "-ec", "cp /data/in /data/small; cp /data/in /data/rest; head -c 2500000 /dev/zero | tr '\\000' '\\377' > /data/large"] }
    after = { image = "$TOOLS", command = ["sh", "-ec", "cat /data/small > /data/other"], needs = ["write"] }
  }
  outputs = {
    small = { path = "small" }
    large = { path = "large" }
  }
}
data "brane_file" "small" {
  run   = brane_workflow_run.test.id
  outputs_digest = brane_workflow_run.test.outputs_digest
  path  = "small"
}
data "brane_file" "large" {
  run   = brane_workflow_run.test.id
  outputs_digest = brane_workflow_run.test.outputs_digest
  path  = "large"
}
`)
	var id string
	large := strings.Repeat("\xff", size) // no text, so that the state does not contain it
	readable := []statecheck.StateCheck{
		acctest.ExpectRunValue("outputs", knownvalue.MapPartial(map[string]knownvalue.Check{"small": acctest.ExpectOutput("small", "alice")})),
		statecheck.ExpectKnownValue("data.brane_file.small", tfjsonpath.New("content"), knownvalue.StringExact("alice")),
		statecheck.ExpectKnownValue("data.brane_file.large", tfjsonpath.New("sha256"), knownvalue.StringExact(acctest.SHA256(large))),
	}
	remember := func(state *terraform.State) (err error) {
		id, err = acctest.RunID(state)
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
		Steps: []resource.TestStep{
			{Config: config, ConfigStateChecks: readable, Check: remember},
			{ // what has the deadline goes, as Redis itself drops it
				PreConfig: func() {
					keys, err := acctest.RunKeys(t.Context(), store, id)
					acctest.NoError(t, err)
					kept := 0
					for _, key := range keys {
						ttl, err := store.TTL(t.Context(), key).Result()
						acctest.NoError(t, err)
						if ttl < 0 {
							kept++
							continue
						}
						acctest.NoError(t, store.Unlink(t.Context(), key).Err())
					}
					// Two chunks of "large", whose first two are alike, the pack of "small", the manifest and its list, and the configuration.
					if kept != 6 || len(keys) <= kept {
						t.Errorf("of %d keys, %d are kept", len(keys), kept)
					}
				},
				Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: acctest.NoChange}, ConfigStateChecks: readable,
			},
			{ // somebody cuts the last chunk of the large output
				PreConfig: func() {
					acctest.NoError(t, store.SetArgs(t.Context(), "brane:"+id+":c:"+acctest.SHA256(large[:size%files.ChunkSize]), "\x00", redis.SetArgs{Mode: "XX", KeepTTL: true}).Err())
				},
				Config: config, ConfigPlanChecks: acctest.ExpectDrift(acctest.RunAddress, plancheck.ResourceActionUpdate, `output "large" (large) was modified in Redis`), ConfigStateChecks: readable, Check: remember,
			},
		},
	})
}

// record is what must stay as it is when nothing runs again.
type record struct {
	id      string
	commits map[string]string
	jobs    map[string]string
}

func readRecord(ctx context.Context, s acctest.Env, client *redis.Client, state *terraform.State) (r record, err error) {
	if r.id, err = acctest.RunID(state); err != nil {
		return r, err
	}
	if r.jobs, err = s.JobUIDs(ctx); err != nil {
		return r, err
	}
	fingerprints, err := client.HGetAll(ctx, "brane:"+r.id+":fingerprints").Result()
	if err != nil {
		return r, err
	}
	r.commits = map[string]string{}
	for _, step := range []string{"hello", "count", "join"} {
		if r.commits[step], err = client.Get(ctx, "brane:"+r.id+":step:"+step+":"+fingerprints[step]).Result(); err != nil {
			return r, fmt.Errorf("commit of step %s: %w", step, err)
		}
	}
	return r, nil
}

func checkUnchanged(ctx context.Context, s acctest.Env, client *redis.Client, state *terraform.State, was record) error {
	now, err := readRecord(ctx, s, client, state)
	if err != nil {
		return err
	}
	if now.id != was.id || !maps.Equal(now.commits, was.commits) || !maps.Equal(now.jobs, was.jobs) {
		return fmt.Errorf("something ran again: %+v, before %+v", now, was)
	}
	return nil
}

// expectExecution plans only: steps would run again, and the plan says what the digest of names.txt will be.
func expectExecution(config, namesSHA256 string) resource.TestStep {
	return resource.TestStep{
		Config: config, PlanOnly: true, ExpectNonEmptyPlan: true,
		ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
			plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
			plancheck.ExpectKnownValue(acctest.RunAddress, inputSHA256("names.txt"), knownvalue.StringExact(namesSHA256)),
			plancheck.ExpectUnknownValue(acctest.RunAddress, tfjsonpath.New("status")),
		}},
	}
}

func inputSHA256(input string) tfjsonpath.Path {
	return tfjsonpath.New("inputs").AtMapKey(input).AtMapKey("sha256")
}

func succeeded() knownvalue.Check {
	moment := knownvalue.StringRegexp(regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$`))
	return knownvalue.ObjectExact(map[string]knownvalue.Check{
		"status": knownvalue.StringExact("succeeded"), "exit_code": knownvalue.Int64Exact(0),
		"started_at": moment, "finished_at": moment, "duration": knownvalue.StringRegexp(regexp.MustCompile(`^[0-9.hmµ]+s$`)), "attempts": knownvalue.NotNull(),
		"digest":      knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{64}$`)),
		"fingerprint": knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{32}-[0-9a-f]{32}$`)),
		"return_type": knownvalue.Null(), "return_value": knownvalue.Null(), // of a call
	})
}
