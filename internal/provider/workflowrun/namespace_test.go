package workflowrun_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Tests of runs without an infrastructure, whose provider block has no control plane.

// namespaceConfig returns a configuration with an empty provider block.
func namespaceConfig(t *testing.T, s acctest.Env, body string) string {
	t.Helper()
	return "provider \"brane\" {}\n" + strings.TrimPrefix(s.Config(t, body), s.ProviderBlock())
}

// namespaceRun returns the configuration of a run in a namespace with these attributes.
func namespaceRun(namespace, more string) string {
	return fmt.Sprintf(`
resource "brane_workflow_run" "test" {
  name      = "alone"
  namespace = %s
  steps = {
    squares = { image = "$TOOLS", command = ["sh", "-c", "echo $((BRANE_ITEM * BRANE_ITEM)) > /data/square-$BRANE_ITEM"], items = ["2", "3"] }
    sum     = { image = "$TOOLS", command = ["sh", "-c", "cat /data/square-* > /data/all"], needs = ["squares"] }
  }
  outputs = { all = { path = "all" } }
  %s
}`, namespace, more)
}

// Two resources are sufficient: a namespace, and a run with a fan-out step in it. Another namespace replaces the run; a destroy leaves nothing.
func TestAccWorkflowRun_inNamespace(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	other := clustertest.Namespace(t)
	var ids []string
	takeID := func(state *terraform.State) error {
		id, err := acctest.RunID(state)
		ids = append(ids, id)
		return err
	}
	hasRun := []statecheck.StateCheck{
		acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
		acctest.ExpectRunValue("infrastructure", knownvalue.Null()),
		acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"all": acctest.ExpectOutput("all", "4\n9\n")})),
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy: func(*terraform.State) error {
			if ids[0] == ids[1] {
				return fmt.Errorf("in both namespaces the run is %s", ids[0])
			}
			if err := acctest.CheckNoRedisKeys(context.Background(), store, ids...); err != nil {
				return err
			}
			return s.CheckGone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}})
		},
		Steps: []resource.TestStep{
			{
				Config:            namespaceConfig(t, s, acctest.NamespaceConfig+namespaceRun("brane_namespace.test.name", "")),
				ConfigStateChecks: append(hasRun, acctest.ExpectRunValue("namespace", knownvalue.StringExact(s.Namespace))),
				Check:             takeID,
			},
			{ // who submits the Jobs is not asked for, and nothing runs again
				Config: namespaceConfig(t, s, acctest.NamespaceConfig+namespaceRun("brane_namespace.test.name", "parallelism = 1")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
				}},
			},
			{
				Config: namespaceConfig(t, s, acctest.NamespaceConfig+namespaceRun(fmt.Sprintf("%q", other), "")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionReplace),
				}},
				ConfigStateChecks: append(hasRun, acctest.ExpectRunValue("namespace", knownvalue.StringExact(other))),
				Check:             takeID,
			},
		},
	})
}

// awaitNoRunObjects waits until the garbage collector has deleted all objects of runs, the service accounts of engines included.
func awaitNoRunObjects(t *testing.T, s acctest.Env) error {
	t.Helper()
	var left error
	err := testenv.Poll(testenv.Context(t), func(ctx context.Context) (bool, error) {
		left = s.CheckNoRunObjects(ctx)
		var accounts corev1.ServiceAccountList
		var roles rbacv1.RoleList
		var bindings rbacv1.RoleBindingList
		for _, list := range []kube.List{&accounts, &roles, &bindings} {
			if err := s.Client.List(ctx, list, s.Namespace, workflow.RunLabel); err != nil {
				return false, err
			}
		}
		if count := len(accounts.Items) + len(roles.Items) + len(bindings.Items); left == nil && count > 0 {
			left = fmt.Errorf("namespace %s still has %d objects of service accounts of engines", s.Namespace, count)
		}
		return left == nil, nil
	})
	if left != nil {
		return left
	}
	return err
}

// newNamespaceRun returns a run in a namespace, which is not applied yet.
func newNamespaceRun(t *testing.T, name, attributes, slow string) *heldrun.Run {
	t.Helper()
	s := heldrun.NewRun(t, name, attributes, slow)
	s.ChangeConfig(t, s.ProviderBlock(), "provider \"brane\" {}\n")
	s.ChangeConfig(t, fmt.Sprintf("infrastructure = %q", s.Namespace), fmt.Sprintf("namespace = %q", s.Namespace))
	return s
}

// The engine of a run in a namespace has its own service account, which loses its permissions when the run has ended and is deleted with the run.
func TestAccWorkflowRun_inNamespaceWaitNot(t *testing.T) {
	t.Parallel()
	s := newNamespaceRun(t, "alone-inside", "wait = false\nsecret_env_wo = { slow = { SAID = \"abracadabra\" } }\nsecret_env_wo_version = 1", "/wait")
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitSlowStep(t)
	s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color")
	account := s.AwaitEngine(t).Spec.ServiceAccountName
	if want := workflow.ObjectName("brane", s.AwaitID(t), "engine", "1"); account != want {
		t.Errorf("the engine has the service account %q, want %q", account, want)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: account}}
	acctest.NoError(t, s.Client.Get(t.Context(), binding))
	s.Server.Release()
	s.AwaitStatus(t, workflow.RunSucceeded)
	testenv.Await(t, "the deletion of the role binding", func(ctx context.Context) (bool, error) {
		err := s.Client.Get(ctx, binding)
		return apierrors.IsNotFound(err), nil
	})
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color")
	s.CLI.Run(t, "destroy", "-auto-approve", "-no-color")
	acctest.NoError(t, awaitNoRunObjects(t, s.Env))
}

// The namespace of a run is deleted. If the run has ended, that is no drift; if an engine was running it, the next plan replaces the run, and the apply reports what is
// missing. A destroy succeeds.
func TestAccWorkflowRun_namespaceDeleted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		attributes, slow string
		changes          bool
	}{
		"after the run":       {"wait = true", "/works", false},
		"while it is running": {"wait = false", "/wait", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNamespaceRun(t, "homeless", tt.attributes, tt.slow)
			s.Server.Works.Store(true)
			s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
			id := s.AwaitID(t) // while its namespace exists
			if tt.changes {
				s.AwaitSlowStep(t)
			}
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
			acctest.NoError(t, s.Client.Delete(t.Context(), namespace))
			testenv.Await(t, "the end of the namespace", func(ctx context.Context) (bool, error) {
				return apierrors.IsNotFound(s.Client.Get(ctx, namespace)), nil
			})
			t.Cleanup(func() { // RegisterInfrastructure deletes it
				acctest.NoError(t, s.Client.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}))
			})
			if !tt.changes {
				s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color")
			} else {
				s.CheckFails(t, nil, "namespace \""+s.Namespace+"\" does not exist", "Create it with a brane_namespace", "kubectl create namespace "+s.Namespace)
			}
			s.CLI.Run(t, "destroy", "-auto-approve", "-no-color")
			acctest.NoError(t, acctest.CheckNoRedisKeys(t.Context(), s.Redis, id))
		})
	}
}

// What contradicts namespace is an error of the plan.
func TestAccWorkflowRun_namespaceInvalid(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	for name, tt := range map[string]struct {
		where string
		want  []string
	}{
		"both":                 {"infrastructure = \"a\"\nnamespace = \"b\"", []string{"Invalid Attribute Combination", "2 attributes specified when one (and only one) of [infrastructure,namespace] is required"}},
		"neither":              {"", []string{"Invalid Attribute Combination", "No attribute specified when one (and only one) of [infrastructure,namespace] is required"}},
		"no name":              {"namespace = \"Brane\"", []string{"namespace", "Brane"}},
		"an unknown cluster":   {"namespace = \"b\"\ncluster = \"oslo\"", []string{"Unknown cluster", `there is no cluster "oslo" in clusters of the provider block: it has no clusters.`}},
		"submitted otherwise":  {"namespace = \"b\"\nsubmit_with = \"registered\"", []string{"Conflicting submit_with", "Remove submit_with."}},
		"a package, no image":  {"namespace = \"b\"\nsteps = { a = { package = \"p:1\", function = \"f\" } }", []string{"Missing image", "Set image of the step, for example registry.example.org/library/p:1, or set infrastructure."}},
		"a cluster, not alone": {"infrastructure = \"a\"\ncluster = \"oslo\"", []string{"Conflicting cluster"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(tt.where, "steps") {
				tt.where += "\nsteps = { a = { image = \"tools:1\", command = [\"true\"] } }"
			}
			acctest.ExpectError(t, resource.TestStep{Config: namespaceConfig(t, s, "resource \"brane_workflow_run\" \"test\" {\n  name = \"bad\"\n"+tt.where+"\n}"), PlanOnly: true}, tt.want)
		})
	}
}

// A namespace that does not exist is an error that names it. The next apply, after it was created, continues the run.
func TestAccWorkflowRun_namespaceMissing(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{"attached": "", "detached": "wait = false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acctest.NewEnv(t)
			config := namespaceConfig(t, s, namespaceRun(fmt.Sprintf("%q", s.Namespace), more))
			acctest.ExpectError(t, resource.TestStep{Config: config},
				[]string{`namespace "` + s.Namespace + `" does not exist`, "Create it with a brane_namespace", "kubectl create namespace " + s.Namespace, "namespace = "},
				resource.TestStep{
					PreConfig: func() {
						namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
						acctest.NoError(t, s.Client.Create(t.Context(), namespace))
						t.Cleanup(func() { acctest.NoError(t, s.Client.Delete(context.Background(), namespace)) })
					},
					Config: config,
				})
		})
	}
}

// While it is not known what the namespace or the cluster will be, nothing is assumed, and there is no error. The id is known after apply in any case.
func TestNamespaceUnknown(t *testing.T) {
	t.Parallel()
	steps := acctest.Object{"a": acctest.Object{"image": "tools:1", "command": []any{"true"}}}
	for name, where := range map[string]acctest.Object{
		"both known":                   {"namespace": "a"},
		"namespace":                    {"namespace": acctest.Unknown},
		"cluster":                      {"namespace": "a", "cluster": acctest.Unknown},
		"infrastructure":               {"infrastructure": acctest.Unknown},
		"which one":                    {"infrastructure": acctest.Unknown, "namespace": acctest.Unknown},
		"which one, and its cluster":   {"infrastructure": acctest.Unknown, "namespace": acctest.Unknown, "cluster": "berlin"},
		"whether there is submit_with": {"namespace": "a", "submit_with": acctest.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": acctest.Object{"host": "https://127.0.0.1:1"}, "clusters": acctest.Object{"berlin": acctest.Object{"host": "https://127.0.0.1:2"}}}, false).Diagnostics)
			schema := s.Schemas.ResourceSchemas["brane_workflow_run"]
			config := acctest.MergeObjects(acctest.Object{"name": "run", "steps": steps}, where)
			valid, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: "brane_workflow_run", Config: s.EncodeObject(schema, config)})
			acctest.NoError(t, err)
			s.RequireNoErrors(valid.Diagnostics)
			plan := s.Plan("brane_workflow_run", config, false)
			s.RequireNoErrors(plan.Diagnostics)
			if id := s.DecodeAttributes(schema, plan.PlannedState)["id"]; id.IsKnown() {
				t.Errorf("the id is %s", id)
			}
		})
	}
}

// An account of the provider without permissions gets an error with the Role to apply. With the Role of the documentation it can run workflows, also inside the cluster.
func TestAccWorkflowRun_namespacePermissions(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	home, name := clustertest.Namespace(t), clustertest.Namespace(t)
	account := s.CreateServiceAccount(t, home, "ci")
	kubeconfig := s.ControlPlaneFile("kubeconfig")
	acctest.NoError(t, os.WriteFile(kubeconfig, account.Kubeconfig, 0o600))
	provider := fmt.Sprintf("provider \"brane\" {\n  kubernetes = { config_path = %q }\n}\n", kubeconfig)
	body := namespaceRun(fmt.Sprintf("%q", name), "") + `
resource "brane_workflow_run" "inside" {
  name      = "inside"
  namespace = brane_workflow_run.test.namespace
  wait      = false
  steps     = { greet = { image = "$TOOLS", command = ["sh", "-c", "echo hello > /data/greeting"] } }
}`
	config := provider + strings.TrimPrefix(s.Config(t, body), s.ProviderBlock())
	role := acctest.ReadDocumentedRole(t)
	acctest.ExpectError(t, resource.TestStep{Config: config},
		[]string{"User \"system:serviceaccount:" + home + ":ci\" lacks a permission", "kind: Role", "namespace: " + name, "verbs: - create"},
		resource.TestStep{
			PreConfig: func() {
				role.Namespace = name
				acctest.NoError(t, s.Client.Create(t.Context(), role))
				acctest.NoError(t, s.Client.Create(t.Context(), &rbacv1.RoleBinding{
					ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: role.Name},
					RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
					Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: home, Name: "ci"}},
				}))
			},
			Config: config,
			Check: func(state *terraform.State) error {
				id := state.RootModule().Resources["brane_workflow_run.inside"].Primary.Attributes["id"]
				found, err := detached.Wait(t.Context(), s.Client, workflow.Ref{ID: id, Namespace: name}, nil)
				if err == nil && found.Status != workflow.RunSucceeded {
					err = fmt.Errorf("the run has %s: %s", found.Status, found.Reason())
				}
				return err
			},
		},
		resource.TestStep{RefreshState: true},
		resource.TestStep{Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
	)
}

// A token in the provider block that expires while the run may still be running causes a warning, unless an engine runs it.
func TestOwnTokenExpires(t *testing.T) {
	t.Parallel()
	expiring := func(in time.Duration) string {
		claims := fmt.Sprintf(`{"sub":"system:serviceaccount:ci:ci","exp":%d}`, time.Now().Add(in).Unix())
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".signature"
	}
	for name, tt := range map[string]struct {
		in    time.Duration // 0: it cannot be parsed
		more  acctest.Object
		warns bool
	}{
		"soon":                      {30 * time.Minute, acctest.Object{"namespace": "a"}, true},
		"soon, with infrastructure": {30 * time.Minute, acctest.Object{"infrastructure": "a", "submit_with": "provider"}, true},
		"after a short run":         {30 * time.Minute, acctest.Object{"namespace": "a", "timeouts": acctest.Object{"create": "5m"}}, false},
		"soon, but in the cluster":  {30 * time.Minute, acctest.Object{"namespace": "a", "wait": false}, false},
		"late":                      {2 * time.Hour, acctest.Object{"namespace": "a"}, false},
		"never, as far as is known": {0, acctest.Object{"namespace": "a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := "opaque"
			if tt.in > 0 {
				token = expiring(tt.in)
			}
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": acctest.Object{"host": "https://127.0.0.1:1", "token": token}}, false).Diagnostics)
			config := acctest.MergeObjects(acctest.Object{"name": "run", "steps": acctest.Object{"a": acctest.Object{"image": "tools:1", "command": []any{"true"}}}}, tt.more)
			said := acctest.FormatDiagnostics(s.Plan("brane_workflow_run", config, false).Diagnostics)
			if got := strings.Contains(said, "Token may expire during the run"); got != tt.warns || !tt.warns && said != "" {
				t.Errorf("the plan says %q", said)
			}
			if strings.Contains(said, token) {
				t.Error("the plan shows the token")
			}
		})
	}
}
