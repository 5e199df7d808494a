package namespace_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
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

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// fullestNamespace sets all attributes that the cluster stores, each to another value than its default.
const fullestNamespace = `
resource "brane_namespace" "test" {
  name        = "$NAMESPACE"
  labels      = { "example.org/team" = "imaging" }
  annotations = { "example.org/note" = "for tests" }

  common_labels      = { "example.org/cost" = "4711" }
  common_annotations = { "example.org/contact" = "admin@example.org" }

  pod_security = { enforce = "baseline", audit = "restricted", warn = "restricted", version = "v1.35" }

  service_account = {
    name               = "submitter"
    labels             = { "example.org/team" = "imaging" }
    annotations        = { "example.org/note" = "for tests" }
    image_pull_secrets = ["of-others"]
    create_token_secret = true
  }

  rules = [
    { api_groups = ["batch"], resources = ["jobs"], verbs = ["create", "get"] },
    { api_groups = [""], resources = ["configmaps"], verbs = ["get"], resource_names = ["one"] },
  ]
  subjects = [
    { kind = "Group", name = "imaging" },
    { kind = "ServiceAccount", name = "robot", namespace = "default" },
  ]

  resource_quota = { pods = "50", "requests.cpu" = "1500m" }
  limit_range = {
    default         = { cpu = "1000m", memory = "1024Mi" }
    default_request = { cpu = "0.1" }
    max             = { cpu = "4", memory = "8Gi" }
    min             = { cpu = "10m" }
  }

  network_policy = {
    egress  = { redis = { cidrs = ["198.51.100.10/32"], ports = [6379, 26379] } }
    ingress = { scrape = { cidrs = ["10.0.0.0/8"], ports = [9090], protocols = ["UDP", "TCP"] } }
  }

  registry_credentials = { "198.51.100.10:50050" = { username = "puller", password_wo = "s3cret", password_wo_version = 1 } }

  timeouts = { create = "15m", read = "3m", update = "14m", delete = "20m" }
}
`

// The test updates a namespace from its minimal to its full configuration, with drift in between.
func TestAccNamespace(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	ns := func() *corev1.Namespace { return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}} }
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: s.Namespace, Name: name} }
	meddle := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return s.CheckGone(ns()) },
		Steps: []resource.TestStep{
			{
				Config: s.Config(t, acctest.NamespaceConfig),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("access"), knownvalue.StringExact("run")),
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("service_account").AtMapKey("name"), knownvalue.StringExact("brane")),
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("drift"), knownvalue.ListSizeExact(0)),
				},
			},
			{
				ImportState: true, ImportStateKind: resource.ImportBlockWithID, ResourceName: "brane_namespace.test", ImportStateId: s.Namespace,
			},
			{ // what others add is no drift
				PreConfig: func() {
					meddle(s.Client.MergePatch(t.Context(), ns(), []byte(`{"metadata":{"labels":{"others":"x"},"annotations":{"others":"x"},"finalizers":["example.org/theirs"]}}`)))
				},
				Config: s.Config(t, acctest.NamespaceConfig), ConfigPlanChecks: empty,
			},
			{
				PreConfig: func() {
					meddle(s.Client.MergePatch(t.Context(), ns(), []byte(`{"metadata":{"finalizers":null}}`))) // with it, the destroy at the end would wait
					meddle(s.Client.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: in("brane")}))
				},
				Config:           s.Config(t, acctest.NamespaceConfig),
				ConfigPlanChecks: acctest.ExpectDrift("brane_namespace.test", plancheck.ResourceActionUpdate, `RoleBinding "brane" is missing`),
			},
			{Config: s.Config(t, acctest.NamespaceConfig), ConfigPlanChecks: empty},
			{ // everything changes but the name: in place, and the old account goes
				Config: s.Config(t, fullestNamespace),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionUpdate),
				}},
				Check: func(*terraform.State) error {
					return s.CheckGone(&corev1.ServiceAccount{ObjectMeta: in("brane")}, &rbacv1.Role{ObjectMeta: in("brane")}, &rbacv1.RoleBinding{ObjectMeta: in("brane")})
				},
			},
			{
				ImportState: true, ImportStateKind: resource.ImportBlockWithID, ResourceName: "brane_namespace.test", ImportStateId: s.Namespace,
			},
			{ // written in another way, it is the same
				Config:           s.Config(t, strings.NewReplacer(`"1500m"`, `"1.5"`, `"1024Mi"`, `"1Gi"`, `["create", "get"]`, `["get", "create"]`).Replace(fullestNamespace)),
				ConfigPlanChecks: empty,
			},
			{ // ours gone is drift
				PreConfig: func() {
					meddle(s.Client.MergePatch(t.Context(), ns(), []byte(`{"metadata":{"labels":{"example.org/team":null}}}`)))
				},
				Config: s.Config(t, fullestNamespace),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionUpdate),
				}},
			},
			{ // the namespace itself gone: made again
				PreConfig: func() { meddle(s.Client.Delete(t.Context(), ns())) },
				Config:    s.Config(t, fullestNamespace),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionCreate),
				}},
			},
		},
	})
}

func TestAccNamespace_exists(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	if err := s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}); err != nil {
			t.Error(err)
		}
	})
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config:      s.Config(t, acctest.NamespaceConfig),
			ExpectError: regexp.MustCompile(`Namespace already exists[\s\S]*import \{[\s\S]*to = brane_namespace[\s\S]*id = "` + s.Namespace + `"`),
		}},
	})
}

func TestAccNamespace_badInput(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	for name, tt := range map[string]struct{ body, want string }{
		"a name that is no DNS label":                         {`name = "Not_A_Label"`, `Invalid DNS label`},
		"an access that is none":                              {"name = \"x\"\naccess = \"all\"", `must be one of`},
		"access and rules":                                    {"name = \"x\"\naccess = \"run\"\nrules = [{ api_groups = [\"\"], resources = [\"pods\"], verbs = [\"get\"] }]", `"rules" cannot be specified when "access" is`},
		"a quantity that is none":                             {"name = \"x\"\nresource_quota = { pods = \"lots\" }", `Invalid quantity`},
		"a quantity that is none, while another is not known": {"name = terraform_data.later.id\nresource_quota = { pods = \"lots\" }\n}\nresource \"terraform_data\" \"later\" {", `Invalid quantity`},
		"a quantity below zero":                               {"name = \"x\"\nlimit_range = { max = { cpu = \"-1\" } }", `Invalid quantity[\s\S]*it\s+is\s+negative`},
		"a range that is none":                                {"name = \"x\"\nnetwork_policy = { egress = { redis = { cidrs = [\"198.51.100.10/24\"] } } }", `did you mean\s+198.51.100.0/24`},
		"a user in a namespace":                               {"name = \"x\"\nsubjects = [{ kind = \"User\", name = \"eve\", namespace = \"x\" }]", `set\s+namespace\s+for\s+a\s+ServiceAccount,\s+and\s+remove\s+it\s+for\s+a\s+User\s+or\s+Group`},
		"a level that is none":                                {"name = \"x\"\npod_security = { enforce = \"strict\" }", `must be one of`},
		"a version that is none":                              {"name = \"x\"\npod_security = { enforce = \"baseline\", version = \"1.35\" }", `write it as v1.35, or latest`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{{
					Config: s.Config(t, "resource \"brane_namespace\" \"test\" {\n"+tt.body+"\n}"), PlanOnly: true, ExpectError: regexp.MustCompile(tt.want),
				}},
			})
		})
	}
}

func TestAccNamespace_adopt(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	theirs := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace, Labels: map[string]string{"others": "x"}}}
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "kept"}}
	acctest.NoError(t, s.Client.Create(t.Context(), theirs))
	acctest.NoError(t, s.Client.Create(t.Context(), kept))
	t.Cleanup(func() {
		acctest.NoError(t, s.Client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}))
	})
	adopting := s.Config(t, `
resource "brane_namespace" "test" {
  name       = "$NAMESPACE"
  adopt      = true
  deletion_policy = "retain"
}
`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy: func(*terraform.State) error {
			if err := s.CheckGone(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "brane"}}); err != nil {
				return err
			}
			return s.Client.Get(context.Background(), kept) // the namespace and what others have in it stay
		},
		Steps: []resource.TestStep{
			{
				Config: adopting,
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("uid"), knownvalue.StringExact(string(theirs.UID))),
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("adopt"), knownvalue.Bool(true)),
				},
			},
			{Config: adopting, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
			{ // adopt has no effect after the creation
				Config: strings.Replace(adopting, "  adopt      = true\n", "", 1), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionUpdate)}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("uid"), knownvalue.StringExact(string(theirs.UID))),
				},
			},
		},
	})
}

func TestAccNamespace_protected(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	protected := func(value string) string {
		return s.Config(t, "resource \"brane_namespace\" \"test\" {\n  name = \"$NAMESPACE\"\n  deletion_protection = "+value+"\n}\n")
	}
	refused := regexp.MustCompile(`Namespace is protected from deletion[\s\S]*deletion_protection = false`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: protected("true")},
			{Config: protected("true"), Destroy: true, ExpectError: refused},
			{Config: strings.Replace(protected("true"), s.Namespace, s.Namespace+"-2", 1), ExpectError: refused, PlanOnly: true},
			{Config: protected("false")},
		},
	})
}

func TestAccNamespace_password(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	registry := func(credential string) string {
		return s.Config(t, "resource \"brane_namespace\" \"test\" {\n  name = \"$NAMESPACE\"\n  registry_credentials = { \"r.example.org\" = { username = \"u\", "+credential+" } }\n}\n")
	}
	holds := func(password string) resource.TestCheckFunc {
		return func(state *terraform.State) error {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "brane-registries"}}
			if err := s.Client.Get(context.Background(), secret); err != nil {
				return err
			}
			if data := string(secret.Data[corev1.DockerConfigJsonKey]); !strings.Contains(data, `"password":"`+password+`"`) {
				return fmt.Errorf("the Secret holds %s, want the password %q", data, password)
			}
			if strings.Contains(state.String(), password) {
				return errors.New("the password is in the state")
			}
			return nil
		}
	}
	missing := regexp.MustCompile(`Missing password[\s\S]*Set\s+password_wo`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: registry(`password_wo_version = 1`), ExpectError: missing},
			{Config: registry(`password_wo = "first-one", password_wo_version = 1`), Check: holds("first-one")},
			// without a new version the password is not sent
			{Config: registry(`password_wo = "second-one", password_wo_version = 1`), Check: holds("first-one")},
			{Config: registry(`password_wo_version = 2`), ExpectError: missing},
			{Config: registry(`password_wo = "second-one", password_wo_version = 2`), Check: holds("second-one")},
		},
	})
}
