package workflowrun_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Tests of runs that are not in the state: imports, the data source and the list.

// forgotten is the configuration that removes the run from the state without destroying it.
const forgotten = "removed {\n  from = brane_workflow_run.test\n  lifecycle {\n    destroy = false\n  }\n}\n"

// An imported run has the state that it had, and nothing is planned for it.
func TestAccWorkflowRun_import(t *testing.T) {
	for name, tt := range map[string]struct {
		body string // all attributes but the name
		id   string // with which it is imported
	}{
		"in a namespace": {`
  namespace = "$NAMESPACE"
  steps = {
    squares = { image = "$TOOLS", command = ["sh", "-c", "echo $((BRANE_ITEM * BRANE_ITEM)) > /data/square-$BRANE_ITEM"], items = ["2", "3"], env = { A = "<b>" }, triggers = { x = "1" } }
    sum     = { image = "$TOOLS", command = ["sh", "-c", "cat /data/square-* > /data/all; echo $SAID | wc -c"], needs = ["squares"], resources = { limits = { memory = "32Mi" } } }
    never   = { image = "$TOOLS", command = ["false"], needs = ["sum"], when = "failure" }
    always  = { image = "$TOOLS", command = ["true"], cache = false }
  }
  secret_env_wo         = { sum = { SAID = "abracadabra" } }
  secret_env_wo_version = 3
  outputs               = { all = { path = "all" } }
  report_path           = "$FOLDER/report.html"
  timeouts              = { create = "10m" }
`, "$NAMESPACE/$ID"},
		"on an infrastructure": {`
  infrastructure = "$NAMESPACE"
  inputs = {
    "names.txt" = { source = "$FOLDER/names.txt" }
    "more.txt"  = { content = "Grace\n" }
  }
  steps = {
    hello = { image = "$TOOLS", command = ["sh", "-c", "cat /data/names.txt /data/more.txt > /data/hello"] }
    fails = { image = "$TOOLS", command = ["sh", "-c", "exit 7"], allow_failure = true }
  }
  triggers = { release = "1" }
  outputs  = { hello = { path = "hello" } }
`, "$ID"},
		"without outputs": {`
  namespace = "$NAMESPACE"
  defaults  = { image = "$TOOLS" }
  steps     = { only = { command = ["true"] } }
`, "$ID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, store := acctest.NewEnv(t), acctest.RedisClient(t)
			s.RegisterInfrastructure(t)
			acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("names.txt"), []byte("Ada\n"), 0o600))
			config := s.Config(t, "resource \"brane_workflow_run\" \"test\" {\n  name = \"imported\"\n"+strings.ReplaceAll(tt.body, "$FOLDER", s.Directory)+"}\n")
			id := workflow.RunID("imported", s.Client.Host(), s.Namespace)
			if strings.Contains(tt.body, "infrastructure") {
				id = workflow.RunID("imported", strings.TrimPrefix(s.Client.Host(), "https://"), s.Namespace)
			}
			attributes := func(state *terraform.State) map[string]string {
				return state.RootModule().Resources[acctest.RunAddress].Primary.Attributes
			}
			var before map[string]string
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
				Steps: []resource.TestStep{
					{Config: config, Check: func(state *terraform.State) error {
						before = attributes(state)
						return nil
					}},
					{Config: s.ProviderBlock() + forgotten},
					{
						Config: config + fmt.Sprintf("import {\n  to = brane_workflow_run.test\n  id = %q\n}\n", strings.NewReplacer("$NAMESPACE", s.Namespace, "$ID", id).Replace(tt.id)),
						ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
							plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionNoop),
						}},
						Check: func(state *terraform.State) error {
							if !maps.Equal(attributes(state), before) {
								return fmt.Errorf("the imported state is\n%v\nand was\n%v", attributes(state), before)
							}
							return nil
						},
					},
				},
			})
		})
	}
}

// lookup is a run in a namespace, with a provider that has the requests of a CLI that is newer than that of the tests.
type lookup struct {
	acctest.Env
	*acctest.Lifecycle
	config acctest.Object
	id     string
}

// newLookup applies a run.
func newLookup(t *testing.T, more acctest.Object) lookup {
	t.Helper()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	p := acctest.NewProtocol(t)
	p.RequireNoErrors(p.Configure(acctest.Object{
		"control_plane": acctest.Object{"directory": s.Directory},
		"clusters":      acctest.Object{"berlin": acctest.Object{"config_path": clustertest.Getenv(t, acctest.KubeconfigVariable)}},
	}, false).Diagnostics)
	step := func(script string) acctest.Object {
		return acctest.Object{"image": s.Getenv(t, "BRANE_TOOLS_IMAGE"), "command": []any{"sh", "-c", script}}
	}
	l := lookup{s, p.NewLifecycle("brane_workflow_run"), acctest.MergeObjects(acctest.Object{
		"name":    "sought",
		"steps":   acctest.Object{"hello": step("echo hello > /data/hello")},
		"outputs": acctest.Object{"hello": acctest.Object{"path": "hello"}},
	}, more), ""}
	for name, value := range l.config {
		if value == "$NAMESPACE" {
			l.config[name] = s.Namespace
		}
	}
	l.RequireNoErrors(l.Apply(l.config))
	t.Cleanup(func() {
		l.Context = context.Background()
		l.RequireNoErrors(l.Apply(nil))
	})
	l.id = l.DecodeString(l.DecodeAttributes(l.Schema(), l.State)["id"])
	return l
}

// importBy imports the run with an identity.
func (l lookup) importBy(identity acctest.Object) *acctest.Lifecycle {
	l.T.Helper()
	typ := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "infrastructure": tftypes.String, "namespace": tftypes.String, "cluster": tftypes.String}}
	return l.Import("brane_workflow_run", tfprotov6.ImportResourceStateRequest{
		Identity: &tfprotov6.ResourceIdentityData{IdentityData: l.EncodeValue(typ, acctest.NewValue(typ, identity))},
	})
}

// A run is imported by its identity, which its operations return, and other configurations read it.
func TestAccWorkflowRun_lookup(t *testing.T) {
	for name, tt := range map[string]struct {
		at       []string // the attributes of its place
		more     acctest.Object
		identity string
	}{
		"in a namespace of a cluster": {[]string{"cluster", "namespace"}, acctest.Object{"cluster": "berlin", "namespace": "$NAMESPACE"}, "cluster=berlin namespace=$NAMESPACE name=sought"},
		"on an infrastructure":        {[]string{"infrastructure"}, acctest.Object{"infrastructure": "$NAMESPACE"}, "infrastructure=$NAMESPACE name=sought"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, store := newLookup(t, tt.more), acctest.RedisClient(t)
			identity := acctest.Object{"name": "sought"}
			for _, name := range tt.at {
				identity[name] = l.config[name]
			}
			l.RequireNoErrors(l.Refresh())
			imported := l.importBy(identity)
			if !imported.HasState(l.State) {
				t.Error("the imported state differs from the former one")
			}
			if _, changes := imported.PlanChange(l.config); changes {
				t.Error("a change of the imported run is planned")
			}
			for _, of := range []*acctest.Lifecycle{l.Lifecycle, imported} {
				if got, want := of.FormatIdentity(), strings.ReplaceAll(tt.identity, "$NAMESPACE", l.Namespace); got != want {
					t.Errorf("the identity is %s, want %s", got, want)
				}
			}
			checkData := func() {
				t.Helper()
				data, diagnostics := l.readData(identity)
				l.RequireNoErrors(diagnostics)
				state := l.DecodeAttributes(l.Schema(), l.State)
				for _, name := range []string{"id", "namespace", "status", "started_at", "finished_at", "duration", "results", "outputs", "outputs_digest"} {
					if !data[name].Equal(state[name]) {
						t.Errorf("%s is %s, want %s", name, data[name], state[name])
					}
				}
			}
			checkData()
			// When retention has passed, the outputs and the configuration are still there.
			keys, err := acctest.RunKeys(t.Context(), store, l.id)
			acctest.NoError(t, err)
			for _, key := range keys {
				if store.TTL(t.Context(), key).Val() > 0 {
					acctest.NoError(t, store.Unlink(t.Context(), key).Err())
				}
			}
			checkData()
			imported = l.importBy(identity)
			if _, changes := imported.PlanChange(l.config); changes || !imported.HasState(l.State) {
				t.Error("when retention has passed, the imported state differs, or a change is planned")
			}
		})
	}
}

// readData reads the data source.
func (l lookup) readData(config acctest.Object) (map[string]tftypes.Value, []*tfprotov6.Diagnostic) {
	l.T.Helper()
	schema := l.Schemas.DataSourceSchemas["brane_workflow_run"]
	resp, err := l.ReadDataSource(l.Context, &tfprotov6.ReadDataSourceRequest{TypeName: "brane_workflow_run", Config: l.EncodeObject(schema, config)})
	acctest.NoError(l.T, err)
	if acctest.HasErrors(resp.Diagnostics) {
		return nil, resp.Diagnostics
	}
	return l.DecodeAttributes(schema, resp.State), resp.Diagnostics
}

// list returns the runs that a CLI can import.
func (l lookup) list(config acctest.Object, whole bool) []tfprotov6.ListResourceResult {
	l.T.Helper()
	lister, ok := l.ProviderServer.(tfprotov6.ListResourceServer)
	if !ok {
		l.T.Fatal("the provider lists nothing")
	}
	stream, err := lister.ListResource(l.Context, &tfprotov6.ListResourceRequest{
		TypeName: "brane_workflow_run", Config: l.EncodeObject(l.Schemas.ListResourceSchemas["brane_workflow_run"], config), IncludeResource: whole,
	})
	acctest.NoError(l.T, err)
	return slices.Collect(stream.Results)
}

// A list has the runs of a namespace, and not those of actions.
func TestAccWorkflowRun_list(t *testing.T) {
	t.Parallel()
	l := newLookup(t, acctest.Object{"cluster": "berlin", "namespace": "$NAMESPACE"})
	said := l.Invoke("brane_run_workflow", acctest.Object{ // fails, so that its record is kept
		"name": "sought", "cluster": "berlin", "namespace": l.Namespace, "steps": acctest.Object{"fails": acctest.Object{"image": l.Getenv(t, "BRANE_TOOLS_IMAGE"), "command": []any{"false"}}},
	})
	if !strings.Contains(strings.Join(said, "\n"), `Step "fails" of run "sought" failed`) {
		t.Fatalf("the action says %q", said)
	}
	l.RequireNoErrors(l.Refresh())
	for _, whole := range []bool{false, true} {
		found := l.list(acctest.Object{"cluster": "berlin", "namespace": l.Namespace}, whole)
		if len(found) != 1 {
			t.Fatalf("%d runs are listed, want 1", len(found))
		}
		l.RequireNoErrors(found[0].Diagnostics)
		if want := fmt.Sprintf("%s (namespace %s, succeeded)", l.id, l.Namespace); found[0].DisplayName != want {
			t.Errorf("it is displayed as %s, want %s", found[0].DisplayName, want)
		}
		listed := l.NewLifecycle("brane_workflow_run")
		if listed.Identity = found[0].Identity; listed.FormatIdentity() != l.FormatIdentity() {
			t.Errorf("its identity is %s, want %s", listed.FormatIdentity(), l.FormatIdentity())
		}
		if listed.State = found[0].Resource; whole && !listed.HasState(l.State) {
			t.Error("its attributes are not those of the state")
		}
	}
	everywhere := slices.IndexFunc(l.list(acctest.Object{"cluster": "berlin"}, false), func(result tfprotov6.ListResourceResult) bool {
		return strings.HasPrefix(result.DisplayName, l.id)
	})
	if everywhere < 0 {
		t.Error("it is not listed without a namespace")
	}
	if got, want := acctest.FormatDiagnostics(l.list(acctest.Object{"cluster": "bergen"}, false)[0].Diagnostics), `there is no cluster "bergen"`; !strings.Contains(got, want) {
		t.Errorf("for a cluster that does not exist, it says %s, want %s", got, want)
	}
}

// What cannot be imported or read is an error that states what was looked for, where, and what to do.
func TestAccWorkflowRun_notFound(t *testing.T) {
	t.Parallel()
	l, store := newLookup(t, acctest.Object{"cluster": "berlin", "namespace": "$NAMESPACE"}), acctest.RedisClient(t)
	at, key := "berlin/"+l.Namespace+"/", "brane:"+l.id+":configuration"
	stored, err := store.Get(t.Context(), key).Result()
	acctest.NoError(t, err)
	record := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: workflow.Ref{ID: l.id}.ObjectName()}}
	acctest.NoError(t, l.Client.Get(t.Context(), record))
	for _, tt := range []struct {
		id, write string
		delete    bool // of the record
		want      []string
	}{
		{id: at + "other-0123456789abcdef", want: []string{"Run not found", "Importing run \"other-0123456789abcdef\" in namespace \"" + l.Namespace + "\" of cluster \"berlin\"", "(key brane:other-0123456789abcdef:configuration)", "redis.url"}},
		{id: "a/b/c/d", want: []string{"Invalid import ID", `"a/b/c/d"`}},
		{id: l.Namespace + "/", want: []string{"Invalid import ID"}},
		{id: "berlin/elsewhere/" + l.id, want: []string{"Run not found", `in namespace "elsewhere"`, fmt.Sprintf(`run %q is in namespace %q`, l.id, l.Namespace)}},
		{id: "bergen/" + l.Namespace + "/" + l.id, want: []string{"Failed to read run", `there is no cluster "bergen"`}},
		{id: l.id, write: `{"v":2,"provider":"9.1.0"}`, want: []string{"Failed to read run", `version 2 of the format`, `Use version "9.1.0" of the provider`}},
		{id: l.id, write: strings.Replace(stored, `{"v":1`, `{"v":1,"x":1`, 1), delete: true, want: []string{"Run not found", "does not have the record of run", record.Name, "apply its configuration"}},
	} {
		if tt.write != "" {
			acctest.NoError(t, store.Set(t.Context(), key, tt.write, 0).Err())
		}
		if tt.delete {
			acctest.NoError(t, l.Client.Delete(t.Context(), &corev1.ConfigMap{ObjectMeta: record.ObjectMeta}))
		}
		resp, err := l.ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{TypeName: "brane_workflow_run", ID: tt.id})
		acctest.NoError(t, err)
		for _, want := range tt.want {
			if got := acctest.FormatDiagnostics(resp.Diagnostics); !strings.Contains(got, want) || len(resp.Diagnostics) != 1 {
				t.Errorf("the import of %s says %s, want %s", tt.id, got, want)
			}
		}
	}
	acctest.NoError(t, store.Del(t.Context(), key).Err())
	_, diagnostics := l.readData(acctest.Object{"name": "sought", "cluster": "berlin", "namespace": l.Namespace})
	if got, want := acctest.FormatDiagnostics(diagnostics), "Run not found: Reading run \"sought\" in namespace \""+l.Namespace; !strings.Contains(got, want) || !strings.Contains(got, key) {
		t.Errorf("the data source says %s, want %s", got, want)
	}
}
