package namespace_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

func TestAccNamespaceDataSource(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	check := func(attribute string, want knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("data.brane_namespace.test", tfjsonpath.New(attribute), want)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config: s.Config(t, fullestNamespace) + `
data "brane_namespace" "test" {
  name = brane_namespace.test.uid == "" ? "" : brane_namespace.test.name # after it was made
}
`,
				ConfigStateChecks: []statecheck.StateCheck{
					check("managed", knownvalue.Bool(true)),
					check("labels", knownvalue.MapPartial(map[string]knownvalue.Check{"example.org/team": knownvalue.StringExact("imaging")})),
					check("annotations", knownvalue.MapPartial(map[string]knownvalue.Check{"example.org/note": knownvalue.StringExact("for tests")})),
					check("uid", knownvalue.NotNull()),
				},
			},
			{
				Config: s.Config(t, `
data "brane_namespace" "test" {
  name = "kube-system"
}
`),
				ConfigStateChecks: []statecheck.StateCheck{
					check("managed", knownvalue.Bool(false)),
					check("labels", knownvalue.MapExact(map[string]knownvalue.Check{"kubernetes.io/metadata.name": knownvalue.StringExact("kube-system")})),
					check("access", knownvalue.Null()),
					check("service_account", knownvalue.Null()),
				},
			},
			{
				Config:      s.Config(t, "data \"brane_namespace\" \"test\" {\n  name = \"none-of-that-name\"\n}\n"),
				ExpectError: regexp.MustCompile(`Reading namespace "none-of-that-name": the cluster does not have it`),
			},
		},
	})
}

// The test makes the requests of `terraform query`, which the CLI of the tests does not support.
func TestListNamespaces(t *testing.T) {
	t.Parallel()
	c, mark := clustertest.Client(t), clustertest.Name("mark")
	var made []string
	for range 3 {
		name := clustertest.Name("list")
		made = append(made, name)
		spec := namespace.Spec{Name: name, Labels: map[string]string{"example.org/mark": mark}, ServiceAccount: "runner", Access: namespace.AccessSubmit}
		t.Cleanup(func() {
			if err := c.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
				t.Error(err)
			}
		})
		if _, err := namespace.Create(t.Context(), c, spec, false); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(made)
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"clusters": acctest.Object{"berlin": acctest.Object{"config_path": clustertest.Getenv(t, acctest.KubeconfigVariable)}}}, false).Diagnostics)
	selector := "example.org/mark=" + mark
	names := func(results []tfprotov6.ListResourceResult) []string {
		t.Helper()
		var names []string
		for _, result := range results {
			s.RequireNoErrors(result.Diagnostics)
			names = append(names, result.DisplayName)
		}
		return names
	}

	if got := names(s.ListNamespaces(acctest.Object{"cluster": "berlin", "selector": selector}, 0, false)); !slices.Equal(got, made) {
		t.Errorf("listed %q, want %q", got, made)
	}
	if got := names(s.ListNamespaces(acctest.Object{"cluster": "berlin", "selector": selector}, 2, false)); !slices.Equal(got, made[:2]) {
		t.Errorf("with a limit of 2: listed %q, want %q", got, made[:2])
	}
	if got := names(s.ListNamespaces(acctest.Object{"cluster": "berlin"}, 0, false)); !slices.Contains(got, made[0]) || slices.Contains(got, "kube-system") {
		t.Errorf("without a selector, which means ours: listed %q", got)
	}
	if got := names(s.ListNamespaces(acctest.Object{"cluster": "berlin", "selector": ""}, 0, false)); !slices.Contains(got, "kube-system") {
		t.Errorf("with an empty selector, which means all: listed %q", got)
	}

	full := s.ListNamespaces(acctest.Object{"cluster": "berlin", "selector": selector}, 0, true)
	names(full)
	identity, err := full[0].Identity.IdentityData.Unmarshal(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"cluster": tftypes.String, "name": tftypes.String}})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`tftypes.Object["cluster":tftypes.String, "name":tftypes.String]<"cluster":tftypes.String<"berlin">, "name":tftypes.String<%q>>`, made[0]); identity.String() != want {
		t.Errorf("identity %s\nwant     %s", identity, want)
	}
	attributes := s.DecodeAttributes(s.Schemas.ResourceSchemas["brane_namespace"], full[0].Resource)
	if got := s.DecodeString(attributes["access"]); got != "submit" {
		t.Errorf("access is %q", got)
	}

	for problem, want := range map[string]string{
		"bergen": `ERROR: Failed to list Namespaces: Listing namespaces labelled app.kubernetes.io/managed-by=terraform-provider-brane: ` +
			`there is no cluster "bergen" in clusters of the provider block: it has "berlin".`,
	} {
		results := s.ListNamespaces(acctest.Object{"cluster": problem}, 0, false)
		if got := acctest.FormatDiagnostics(results[0].Diagnostics); len(results) != 1 || got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestAccNamespaceTerminates checks that a plan shows that a namespace is being deleted and what holds it, and that an apply waits for it.
func TestAccNamespaceTerminates(t *testing.T) {
	t.Parallel()
	c := newTrial(t)
	config := acctest.Object{"name": c.Namespace}
	c.RequireNoErrors(c.Apply(config))
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "held", Finalizers: []string{"example.org/held"}}}
	acctest.NoError(t, c.Client.Create(t.Context(), held))
	old := namespaceObject(c.Env)
	acctest.NoError(t, c.Client.Get(t.Context(), old))
	acctest.NoError(t, c.Client.Delete(t.Context(), namespaceObject(c.Env)))
	release := func(ctx context.Context) error {
		return c.Client.MergePatch(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "held"}}, []byte(`{"metadata":{"finalizers":null}}`))
	}
	t.Cleanup(func() {
		if err := release(context.Background()); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	testenv.Await(t, "a condition by the namespace controller", func(ctx context.Context) (bool, error) {
		live := namespaceObject(c.Env)
		err := c.Client.Get(ctx, live)
		return len(live.Status.Conditions) > 0, err // the namespace controller has found what remains
	})
	said := acctest.FormatDiagnostics(c.Refresh())
	for _, want := range []string{"WARNING: Namespace is being deleted", "waits until it is gone", "example.org/held in 1 resource instances"} {
		if !strings.Contains(said, want) {
			t.Errorf("the refresh says %q, without %q", said, want)
		}
	}
	if c.Exists() {
		t.Error("the namespace is still in the state")
	}
	adopting := acctest.Object{"name": c.Namespace, "adopt": true}
	if plan, _ := c.PlanChange(adopting); !strings.Contains(acctest.FormatDiagnostics(plan.Diagnostics), "waits until it is gone") {
		t.Errorf("the plan that adopts it says %q", acctest.FormatDiagnostics(plan.Diagnostics))
	}
	// An operation that ends before the namespace has gone reports what holds it, and leaves nothing in the state.
	limited := acctest.Object{"name": c.Namespace, "timeouts": acctest.Object{"create": "2s"}}
	if said := acctest.FormatDiagnostics(c.Apply(limited)); !strings.Contains(said, "is still being deleted") || !strings.Contains(said, "example.org/held") || c.Exists() {
		t.Errorf("the apply says %q", said)
	}
	acctest.NoError(t, release(t.Context()))
	c.RequireNoErrors(c.Apply(config))
	if got := c.DecodeString(c.DecodeAttributes(c.Schema(), c.State)["uid"]); got == string(old.UID) {
		t.Errorf("uid %s, want another than before", got)
	}
}
