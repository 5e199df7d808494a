package provider_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const smallestNamespace = `
resource "brane_namespace" "test" {
  name = "$NAMESPACE"
}
`

const fullestNamespace = `
resource "brane_namespace" "test" {
  name            = "$NAMESPACE"
  labels          = { "example.org/team" = "imaging" }
  annotations     = { "example.org/note" = "for tests" }
  access          = "submit"
  service_account = { name = "submitter" }
  timeouts        = { create = "2m", update = "2m", delete = "5m" }
}
`

func TestAccNamespace(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
	ns := func() *corev1.Namespace { return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}} }
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: s.namespace, Name: name} }
	meddle := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: inProcess,
		CheckDestroy:             func(*terraform.State) error { return s.gone(ns()) },
		Steps: []resource.TestStep{
			{
				Config: s.hcl(t, smallestNamespace),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("access"), knownvalue.StringExact("run")),
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("service_account").AtMapKey("name"), knownvalue.StringExact("brane")),
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("drift"), knownvalue.ListSizeExact(0)),
				},
			},
			{
				ImportState: true, ResourceName: "brane_namespace.test", ImportStateId: s.namespace,
				ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name",
			},
			{ // what others add is no drift
				PreConfig: func() {
					meddle(s.client.MergePatch(t.Context(), ns(), []byte(`{"metadata":{"labels":{"others":"x"},"annotations":{"others":"x"},"finalizers":[]}}`)))
				},
				Config: s.hcl(t, smallestNamespace), ConfigPlanChecks: empty,
			},
			{
				PreConfig:        func() { meddle(s.client.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: in("brane")})) },
				Config:           s.hcl(t, smallestNamespace),
				ConfigPlanChecks: drifts("brane_namespace.test", plancheck.ResourceActionUpdate, `RoleBinding "brane" is missing`),
			},
			{Config: s.hcl(t, smallestNamespace), ConfigPlanChecks: empty},
			{ // everything changes but the name: in place, and the old account goes
				Config: s.hcl(t, fullestNamespace),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionUpdate),
				}},
				Check: func(*terraform.State) error {
					return s.gone(&corev1.ServiceAccount{ObjectMeta: in("brane")}, &rbacv1.Role{ObjectMeta: in("brane")}, &rbacv1.RoleBinding{ObjectMeta: in("brane")})
				},
			},
			{
				ImportState: true, ResourceName: "brane_namespace.test", ImportStateId: s.namespace,
				ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name", ImportStateVerifyIgnore: []string{"timeouts"},
			},
			{ // ours gone is drift
				PreConfig: func() {
					meddle(s.client.MergePatch(t.Context(), ns(), []byte(`{"metadata":{"labels":{"example.org/team":null}}}`)))
				},
				Config: s.hcl(t, fullestNamespace),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionUpdate),
				}},
			},
			{ // the namespace itself gone: made again
				PreConfig: func() { meddle(s.client.Delete(t.Context(), ns())) },
				Config:    s.hcl(t, fullestNamespace),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionCreate),
				}},
			},
		},
	})
}

func TestAccNamespace_exists(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
	if err := s.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}); err != nil {
			t.Error(err)
		}
	})
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: inProcess,
		Steps: []resource.TestStep{{
			Config:      s.hcl(t, smallestNamespace),
			ExpectError: regexp.MustCompile(`Namespace exists already[\s\S]*import \{[\s\S]*to = brane_namespace[\s\S]*id = "` + s.namespace + `"`),
		}},
	})
}

func TestAccNamespace_badInput(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
	for name, tt := range map[string]struct{ body, want string }{
		"a name that is no DNS label": {`name = "Not_A_Label"`, `Value is not a DNS label`},
		"an access that is none":      {"name = \"x\"\naccess = \"all\"", `value must be one of`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: inProcess,
				Steps: []resource.TestStep{{
					Config: s.hcl(t, "resource \"brane_namespace\" \"test\" {\n"+tt.body+"\n}"), PlanOnly: true, ExpectError: regexp.MustCompile(tt.want),
				}},
			})
		})
	}
}
