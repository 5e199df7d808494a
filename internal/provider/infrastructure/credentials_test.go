package infrastructure_test

import (
	"context"
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

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// submitters creates the namespace of the test without Terraform, with the service accounts "brane" and "other", which can create Jobs in it.
func (i instance) submitters(t *testing.T, labels map[string]string) {
	t.Helper()
	createNamespace(t, i.Env, labels)
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: i.Namespace, Name: name} }
	account := func(name string) rbacv1.Subject {
		return rbacv1.Subject{Kind: "ServiceAccount", Namespace: i.Namespace, Name: name}
	}
	for _, object := range []kube.Object{
		&corev1.ServiceAccount{ObjectMeta: in("other")},
		&rbacv1.Role{ObjectMeta: in("submit"), Rules: []rbacv1.PolicyRule{{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: in("submit"), Subjects: []rbacv1.Subject{account("brane"), account("other")},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "submit"},
		},
	} {
		acctest.NoError(t, i.Client.Create(t.Context(), object))
	}
}

// TestAccInfrastructure_ownKubeconfig registers a kubeconfig of the user, another one with a new version, and a token instead.
func TestAccInfrastructure_ownKubeconfig(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		i.submitters(t, nil)
		one, other := i.token(t, "brane"), i.token(t, "other")
		var token []byte
		writeOnly := func(kubeconfig []byte, version int) string {
			return i.hcl(t, alone(fmt.Sprintf("{\n kubeconfig_wo_version = %d\n kubeconfig_wo = <<EOT\n%sEOT\n }", version, kubeconfig)))
		}
		registered := func(kubeconfig []byte) resource.TestCheckFunc {
			return func(state *terraform.State) error {
				if got := i.kubeconfig(t, "compute"); string(got) != string(kubeconfig) {
					return fmt.Errorf("another kubeconfig is registered")
				}
				if state == nil {
					return nil
				}
				for key, value := range state.RootModule().Resources[infrastructureAddress].Primary.Attributes {
					if strings.Contains(value, "token:") {
						return fmt.Errorf("the state holds a credential in %s", key)
					}
				}
				return nil
			}
		}
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			Steps: []resource.TestStep{
				{
					Config: writeOnly(one, 1), Check: registered(one),
					ConfigStateChecks: []statecheck.StateCheck{
						statecheck.ExpectKnownValue(infrastructureAddress, tfjsonpath.New("credentials").AtMapKey("kubeconfig_wo"), knownvalue.Null()),
						statecheck.ExpectKnownValue(infrastructureAddress, tfjsonpath.New("address"), knownvalue.StringExact(i.address())),
					},
				},
				{Config: writeOnly(other, 1), ConfigPlanChecks: emptyPlan()}, // nobody has said that it is another
				{Config: writeOnly(other, 2), ConfigPlanChecks: plannedUpdate(), Check: registered(other)},
				{
					PreConfig:        func() { i.register(t, one) },
					Config:           writeOnly(other, 2),
					ConfigPlanChecks: acctest.ExpectDrift(infrastructureAddress, plancheck.ResourceActionUpdate, "the registered credential was replaced by another one"),
					Check:            registered(other),
				},
				{
					Config: i.hcl(t, alone(`{ service_account = "brane" }`)), ConfigPlanChecks: plannedUpdate(),
					Check: func(*terraform.State) error { token = i.kubeconfig(t, "compute"); return nil },
				},
				{ // the default are the same credentials
					Config: i.hcl(t, alone("null")), ConfigPlanChecks: plannedUpdate(),
					Check: func(*terraform.State) error { return registered(token)(nil) },
				},
				{Config: i.hcl(t, alone("null")), ConfigPlanChecks: emptyPlan()},
				{Config: writeOnly(other, 3), ConfigPlanChecks: plannedUpdate(), Check: registered(other)},
				{Config: i.hcl(t, alone("null")), ConfigPlanChecks: plannedUpdate()},
			},
		})
	})
}

func TestAccInfrastructure_rotation(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.submitters(t, nil)
	in := func(month string) string {
		return i.hcl(t, alone(fmt.Sprintf(`{ service_account = "brane", rotation_triggers = { month = %q } }`, month)))
	}
	var first []byte
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: in("2026-10")},
			{PreConfig: func() { first = i.kubeconfig(t, "compute") }, Config: in("2026-10"), ConfigPlanChecks: emptyPlan()},
			{
				Config: in("2026-11"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(infrastructureAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(infrastructureAddress, tfjsonpath.New("expires_at")),
				}},
				Check: func(*terraform.State) error {
					if string(i.kubeconfig(t, "compute")) == string(first) {
						return fmt.Errorf("the credential is the old one")
					}
					return nil
				},
			},
			{Config: in("2026-11"), ConfigPlanChecks: emptyPlan()},
		},
	})
}

// A long-lived token is revoked when it is replaced and when the resource is destroyed.
func TestAccInfrastructure_longLived(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.submitters(t, nil)
	config := func(rotation string) string {
		return i.hcl(t, alone(fmt.Sprintf(`{ service_account = "brane", long_lived = true, rotation_triggers = { n = %q } }`, rotation)))
	}
	tokens := func() []string {
		var secrets corev1.SecretList
		acctest.NoError(t, i.Client.List(context.Background(), &secrets, i.Namespace, ""))
		var names []string
		for _, secret := range secrets.Items {
			names = append(names, secret.Name)
		}
		return names
	}
	one := func(*terraform.State) error {
		kubeconfig, err := credentials.Parse(i.kubeconfig(t, "compute"))
		if err != nil {
			return err
		}
		if found := tokens(); len(found) != 1 || found[0] != kubeconfig.TokenSecret() {
			return fmt.Errorf("the namespace has the Secrets %q, and the registered token is that of %q", found, kubeconfig.TokenSecret())
		}
		return nil
	}
	none := func(*terraform.State) error {
		if found := tokens(); len(found) != 0 {
			return fmt.Errorf("the namespace still has the Secrets %q", found)
		}
		return nil
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             none,
		Steps: []resource.TestStep{
			{
				Config: config("1"), Check: one,
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(infrastructureAddress, tfjsonpath.New("token_secret"), knownvalue.StringRegexp(regexp.MustCompile(`^brane-token-`))),
					statecheck.ExpectKnownValue(infrastructureAddress, tfjsonpath.New("expires_at"), knownvalue.Null()),
				},
			},
			{Config: config("1"), ConfigPlanChecks: emptyPlan()},
			{
				ImportState: true, ResourceName: infrastructureAddress, ImportStateId: "compute", ImportStateVerify: true,
				ImportStateVerifyIdentifierAttribute: "name", ImportStateVerifyIgnore: []string{"credentials.rotation_triggers"},
			},
			{Config: config("2"), ConfigPlanChecks: plannedUpdate(), Check: one},
			{
				PreConfig: func() {
					acctest.NoError(t, i.Client.Delete(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: tokens()[0]}}))
				},
				Config:           config("2"),
				ConfigPlanChecks: driftsLike(`^the registered token was revoked: its Secret "brane-token-\w+" in namespace "` + i.Namespace + `" does not exist$`),
				Check:            one,
			},
			{Config: i.hcl(t, alone(`{ service_account = "brane" }`)), ConfigPlanChecks: plannedUpdate(), Check: none},
			{Config: config("1"), Check: one},
		},
	})
}

// A new token that could not be registered is revoked.
func TestAccInfrastructure_longLivedTooWeak(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	createNamespace(t, i.Env, nil)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy: func(*terraform.State) error {
			var secrets corev1.SecretList
			if err := i.Client.List(context.Background(), &secrets, i.Namespace, ""); err != nil || len(secrets.Items) != 0 {
				return fmt.Errorf("left behind: %v, %w", secrets.Items, err)
			}
			return nil
		},
		Steps: []resource.TestStep{{
			Config:      i.hcl(t, alone(`{ service_account = "brane", long_lived = true }`)),
			ExpectError: regexp.MustCompile(`Credentials failed verification`),
		}},
	})
}

// Values that are only known at apply are checked before the files are written.
func TestAccInfrastructure_unknownUntilApply(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.submitters(t, nil)
	later := func(value string) string {
		return "resource \"terraform_data\" \"later\" {\n  input = " + value + "\n}\n"
	}
	own := `{ kubeconfig_wo = terraform_data.later.output, kubeconfig_wo_version = 1 }`
	heredoc := func(text []byte) string { return "<<EOT\n" + string(text) + "EOT\n" }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             i.holds(t, "locations: {}\n", "{}\n"),
		Steps: []resource.TestStep{
			{
				Config:      i.hcl(t, later(`"ftp://198.51.100.10"`)+strings.Replace(alone(`{ service_account = "brane" }`), `"http://198.51.100.10:50052"`, "terraform_data.later.output", 1)),
				ExpectError: regexp.MustCompile(`Invalid callback_to[\s\S]*does not begin with http://`),
			},
			{
				Config:      i.hcl(t, later(heredoc([]byte("apiVersion: v1\nkind: Config\n")))+alone(own)),
				ExpectError: regexp.MustCompile(`Unsupported kubeconfig[\s\S]*current-context`),
			},
			{
				Config:      i.hcl(t, later(heredoc(i.token(t, "brane")))+alone(own, `address = "203.0.113.7:6443"`)),
				ExpectError: regexp.MustCompile(`Kubeconfig does not match the location[\s\S]*203\.0\.113\.7`),
			},
			{Config: i.hcl(t, later(heredoc(i.token(t, "brane")))+alone(own))},
		},
	})
}
