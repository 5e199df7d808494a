package workflowrun_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// newActionConfig is the configuration of the action: first, then second, and optionally an exit code of the latter.
func newActionConfig(t *testing.T, s acctest.Env, second string) acctest.Object {
	t.Helper()
	tools := clustertest.Getenv(t, "BRANE_TOOLS_IMAGE")
	return acctest.Object{
		"name": "again", "infrastructure": s.Namespace,
		"inputs": acctest.Object{"names": acctest.Object{"content": "Ada\nGrace\n"}},
		"steps": acctest.Object{
			"first":  acctest.Object{"image": tools, "command": []any{"sh", "-c", "wc -l < /data/names > /data/count"}},
			"second": acctest.Object{"image": tools, "command": []any{"sh", "-c", second}, "needs": []any{"first"}},
		},
		"secret_env_wo": acctest.Object{"second": acctest.Object{"WORD": "abracadabra"}},
		"outputs":       acctest.Object{"lines": acctest.Object{"path": "count"}, "all": acctest.Object{"path": "bytes"}},
		"report_path":   s.ControlPlaneFile("action.html"),
	}
}

var figures = regexp.MustCompile(`(\d+h)?(\d+m)?\d+(\.\d+)?m?s\b`)

// The action tells what happens while it does, and the outputs; each time it is another run. Nothing of it stays in the cluster, in Redis only until the end of `retention`.
func TestAccRunWorkflow(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	talk := acctest.NewProtocol(t)
	talk.RequireNoErrors(talk.Configure(acctest.Object{"control_plane": acctest.Object{"directory": s.Directory}}, false).Diagnostics)
	client := acctest.RedisClient(t)
	var ids []string
	for range 2 {
		said := talk.Invoke("brane_run_workflow", newActionConfig(t, s, `printf '\377\000' > /data/bytes; echo "$WORD"`))
		id := regexp.MustCompile(`again-[0-9a-f]{16}`).FindString(said[0])
		ids = append(ids, id)
		got := figures.ReplaceAllString(strings.ReplaceAll(strings.Join(said, "\n"), id, "ID"), "T")
		want := strings.Join([]string{
			`run "ID" in namespace "` + s.Namespace + `": 2 steps`,
			`step "first" started (0 of 2 ended, T elapsed)`,
			`step "first" finished in T (1 of 2 ended, T elapsed)`,
			`step "second" started (1 of 2 ended, T elapsed)`,
			`step "second" finished in T (2 of 2 ended, T elapsed)`,
			`run "ID" succeeded (2 of 2 ended, T elapsed)`,
			`output "all": bytes, 2 bytes`,
			`output "lines": count, 2 bytes: 2`,
		}, "\n")
		if got != want {
			t.Errorf("it says\n%s\nwant\n%s", got, want)
		}
		acctest.NoError(t, pageSays(s.ControlPlaneFile("action.html"), []string{id, "2 steps in", "(secret)"}, []string{"abracadabra"})(nil))
		keys, err := acctest.RunKeys(t.Context(), client, id)
		acctest.NoError(t, err)
		if len(keys) == 0 {
			t.Errorf("of run %s nothing is left in Redis", id)
		}
		for _, key := range keys {
			ttl, err := client.TTL(t.Context(), key).Result()
			acctest.NoError(t, err)
			if ttl <= 0 {
				t.Errorf("key %s stays for ever", key)
			}
		}
	}
	if ids[0] == ids[1] {
		t.Errorf("both times it is run %s", ids[0])
	}
	acctest.NoError(t, s.CheckNoRunObjects(t.Context()))
}

func TestAccRunWorkflow_fails(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	talk := acctest.NewProtocol(t)
	talk.RequireNoErrors(talk.Configure(acctest.Object{"control_plane": acctest.Object{"directory": s.Directory}}, false).Diagnostics)
	said := talk.Invoke("brane_run_workflow", newActionConfig(t, s, `echo no such luck; exit 7`))
	for _, want := range []string{
		`^step "second" failed: Error \(2 of 2 ended, `,
		`^run "again-[0-9a-f]{16}" failed \(2 of 2 ended, `,
		`^the Jobs are kept for 7 days; to delete everything: kubectl -n ` + s.Namespace + ` delete jobs,configmaps -l brane/run=again-`,
		`(?s)^ERROR, .*AttributeName\("steps"\).*: Step "second" of run "again" failed: .*exit code 7.*no such luck`,
	} {
		if !slices.ContainsFunc(said, regexp.MustCompile(want).MatchString) {
			t.Errorf("it does not say %s but\n%s", want, strings.Join(said, "\n"))
		}
	}
	acctest.NoError(t, pageSays(s.ControlPlaneFile("action.html"), []string{"What went wrong", "no such luck"}, nil)(nil))
	said = talk.Invoke("brane_run_workflow", newActionConfig(t, s, "true"))
	if last := said[len(said)-1]; !strings.Contains(last, `AttributeName("outputs").ElementKeyString("all"): Missing output`) {
		t.Errorf("where an output is missing it says at last %s", last)
	}
}

// A step that has no command runs what its image does, as in the resource.
func TestAccRunWorkflow_imageProgram(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	image := clustertest.Getenv(t, "BRANE_REGISTRY") + "/" + s.Namespace + ":1"
	pushTools(t, image, v1.Config{Entrypoint: []string{"sh", "-c", "echo made > /data/made"}})
	talk := acctest.NewProtocol(t)
	talk.RequireNoErrors(talk.Configure(acctest.Object{"control_plane": acctest.Object{"directory": s.Directory}}, false).Diagnostics)
	said := talk.Invoke("brane_run_workflow", acctest.Object{
		"name": "again", "infrastructure": s.Namespace, "steps": acctest.Object{"only": acctest.Object{"image": image}}, "outputs": acctest.Object{"made": acctest.Object{"path": "made"}},
	})
	if last := said[len(said)-1]; last != `output "made": made, 5 bytes: made` {
		t.Errorf("it says\n%s", strings.Join(said, "\n"))
	}
}
