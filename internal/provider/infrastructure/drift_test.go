package infrastructure_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
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
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Each kind of drift is reported by the plan and corrected by the apply, which only renews the credential if it is the credential that differs; the next plan is
// empty.
func TestAccInfrastructure_drift(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		i.put(t, "infra.yml", othersInfra)
		i.put(t, "secrets.yml", othersSecrets)
		config := i.hcl(t, smallestInfrastructure)
		steps := []resource.TestStep{{Config: config}}
		for _, drift := range []struct {
			happens func()
			want    []string
			renews  bool
		}{
			{
				func() {
					i.editInfra(t, "callback_to: http://198.51.100.10:50052\n    namespace", "callback_to: http://example.org:50052\n    namespace")
				},
				[]string{`callback_to is "http://example.org:50052" instead of "http://198.51.100.10:50052" in infra.yml`},
				false,
			},
			{
				func() { i.editInfra(t, "namespace: "+i.Namespace, "namespace: other") },
				[]string{
					fmt.Sprintf(`namespace is "other" instead of %q in infra.yml`, i.Namespace),
					fmt.Sprintf(`the kubeconfig's context is for namespace %q and the location for "other"; make them the same`, i.Namespace),
				},
				false,
			},
			{
				func() { i.editInfra(t, "file: s$compute", "file: s$office-vpn") },
				[]string{`secret_name is "office-vpn" instead of "compute" in infra.yml`},
				false,
			},
			{
				func() { acctest.NoError(t, infra.Unregister(context.Background(), i.place, "compute", "compute")) },
				[]string{fmt.Sprintf(`location "compute" is missing from infra.yml in the %s`, i.place)},
				true,
			},
			{
				func() { i.put(t, "secrets.yml", othersSecrets) },
				[]string{fmt.Sprintf(`secret "compute" is missing from secrets.yml in the %s`, i.place)},
				true,
			},
			{
				func() { i.remove(t, "secrets.yml") },
				[]string{fmt.Sprintf(`secret "compute" is missing from secrets.yml in the %s`, i.place)},
				true,
			},
			{
				func() { i.put(t, "secrets.yml", othersSecrets+"compute: '%%%'\n") },
				[]string{`Brane cannot use the registered credentials: the value is empty`},
				true,
			},
			{
				func() {
					i.put(t, "secrets.yml", othersSecrets+"compute: "+strings.NewReplacer("+", "-", "/", "_").Replace(infra.EncodeKubeconfig([]byte("apiVersion: v1 # ???>>>\n")))+"\n")
				},
				[]string{`Brane cannot use the registered credentials: the value is base64 in the URL-safe alphabet; Brane reads the standard alphabet (+ and / instead of - and _)`},
				true,
			},
			{
				func() { i.register(t, []byte("kind: Config\napiVersion: v1\n")) },
				[]string{`Brane cannot use the registered credentials: kubeconfig: current-context: it is not set; write the name of the context that Brane is to use`},
				true,
			},
			{
				func() { i.register(t, i.token(t, "default")) },
				[]string{
					fmt.Sprintf(`the registered credential was replaced by the token of another service account, "default" in namespace %q`, i.Namespace),
					fmt.Sprintf(`%s does not allow the credential to create Jobs (create jobs.batch) in namespace %q: its service account needs a Role there, and the namespace must exist`, i.Client.Host(), i.Namespace),
				},
				true,
			},
			{
				i.revoke(t),
				[]string{i.earlierAccount()},
				true,
			},
			{
				i.dropRole(t),
				[]string{fmt.Sprintf(`%s does not allow the credential to create Jobs (create jobs.batch) in namespace %q: its service account needs a Role there, and the namespace must exist`, i.Client.Host(), i.Namespace)},
				true,
			},
			{
				func() { i.editInfra(t, "address: "+i.address(), "address: 203.0.113.7:6443") },
				[]string{
					fmt.Sprintf(`address is "203.0.113.7:6443" instead of %q in infra.yml`, i.address()),
					fmt.Sprintf(`the kubeconfig's server is %s, to which Brane connects; the address "203.0.113.7:6443" must be the same`, i.address()),
				},
				false,
			},
			{
				func() { i.remove(t, "infra.yml") },
				[]string{fmt.Sprintf(`infra.yml is missing from the %s, and with it location "compute"`, i.place)},
				false,
			},
		} {
			var had, credential string // healing takes nothing from others
			happens := func() {
				credential = string(i.kubeconfig(t, "compute"))
				drift.happens()
				if strings.HasPrefix(i.get(t, "secrets.yml"), othersSecrets) {
					had = othersSecrets
				}
			}
			healed := func(*terraform.State) error {
				if secrets := i.get(t, "secrets.yml"); !strings.HasPrefix(secrets, had) {
					return fmt.Errorf("the others' secret is gone:\n%s", secrets)
				}
				if renewed := string(i.kubeconfig(t, "compute")) != credential; renewed != drift.renews {
					return fmt.Errorf("after %q the credential is renewed: %t, want %t", drift.want, renewed, drift.renews)
				}
				return nil
			}
			steps = append(steps,
				resource.TestStep{PreConfig: happens, Config: config, Check: healed, ConfigPlanChecks: acctest.ExpectDrift(infrastructureAddress, plancheck.ResourceActionUpdate, drift.want...)},
				resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()})
		}
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			CheckDestroy:             i.holds(t, "locations: {}\n", othersSecrets), // the last drift took the others' locations
			Steps:                    steps,
		})
	})
}

// revoke deletes the service account, creates it again, and waits until the API server rejects the old token.
func (i instance) revoke(t *testing.T) func() {
	return func() {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: "brane"}}
		acctest.NoError(t, i.Client.Get(context.Background(), account))
		acctest.NoError(t, i.Client.Delete(context.Background(), account))
		acctest.NoError(t, i.Client.Create(context.Background(), &corev1.ServiceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: "brane", Labels: account.Labels, Annotations: account.Annotations},
		}))
		i.probedAs(t, credentials.ErrUnauthorized)
	}
}

// earlierAccount is the drift after revoke.
func (i instance) earlierAccount() string {
	return fmt.Sprintf(`the registered token is of an earlier service account "brane" in namespace %q, which was deleted`, i.Namespace)
}

func (i instance) dropRole(t *testing.T) func() {
	return func() {
		acctest.NoError(t, i.Client.Delete(context.Background(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: "brane"}}))
		i.probedAs(t, credentials.ErrForbidden)
	}
}

// probedAs waits until the verification of the registered credentials returns this error; the API server caches tokens for 10 s.
func (i instance) probedAs(t *testing.T, want error) {
	t.Helper()
	kubeconfig, err := credentials.Parse(i.kubeconfig(t, "compute"))
	acctest.NoError(t, err)
	client, err := kube.New(kubeconfig.Config())
	acctest.NoError(t, err)
	eventually(t, func() error {
		if _, err := credentials.Probe(context.Background(), client, i.Namespace); !errors.Is(err, want) {
			return fmt.Errorf("a probe says %w and not %w", err, want)
		}
		return nil
	})
}

func (i instance) address() string { return strings.TrimPrefix(i.Client.Host(), "https://") }

// token returns a kubeconfig for a service account of the namespace of the test.
func (i instance) token(t testing.TB, account string) []byte {
	t.Helper()
	token, err := credentials.RequestToken(context.Background(), i.Client, i.Namespace, account, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i.rendered(t, token.Value)
}

func (i instance) rendered(t testing.TB, token string) []byte {
	t.Helper()
	ca, err := i.Client.CA()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: i.Client.Host(), CA: ca, Token: token, Namespace: i.Namespace, Name: "compute"})
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// The CA of the API server has changed, and the registered kubeconfig contains the old one.
func TestAccInfrastructure_otherAuthority(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		config := i.hcl(t, smallestInfrastructure)
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			Steps: []resource.TestStep{
				{Config: config},
				{
					PreConfig: func() {
						kubeconfig, err := credentials.Parse(i.kubeconfig(t, "compute"))
						acctest.NoError(t, err)
						kubeconfig.CA = acctest.NewCA(t)
						rendered, err := credentials.Render(*kubeconfig)
						acctest.NoError(t, err)
						i.register(t, rendered)
					},
					Config: config,
					ConfigPlanChecks: driftsLike(
						`^the certificate of ` + regexp.QuoteMeta(i.Client.Host()) + ` is not issued by the CA in the registered kubeconfig `),
				},
				{Config: config, ConfigPlanChecks: emptyPlan()},
			},
		})
	})
}

// A file that cannot be parsed is an error with line and column, and is not overwritten.
func TestAccInfrastructure_unparseable(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		config := i.hcl(t, smallestInfrastructure)
		var infraText, secretsText string
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			Steps: []resource.TestStep{
				{Config: config},
				{
					PreConfig: func() {
						infraText, secretsText = i.get(t, "infra.yml"), i.get(t, "secrets.yml")
						i.put(t, "infra.yml", infraText+"  broken: {kind: kube\n")
					},
					Config:      config,
					ExpectError: regexp.MustCompile(`Failed to read location[\s\S]*infra\.yml:\d+:\d+:[\s\S]*Nothing\s+was\s+written`),
				},
				{
					PreConfig: func() {
						acctest.NoError(t, i.holds(t, infraText+"  broken: {kind: kube\n", secretsText)(nil))
						i.put(t, "infra.yml", infraText)
						i.put(t, "secrets.yml", "- a list\n")
					},
					Config:      config,
					ExpectError: regexp.MustCompile(`Failed to read location[\s\S]*secrets\.yml:1:1:[\s\S]*Nothing\s+was\s+written`),
				},
				{
					PreConfig: func() {
						acctest.NoError(t, i.holds(t, infraText, "- a list\n")(nil))
						i.put(t, "secrets.yml", secretsText)
					},
					Config: config, ConfigPlanChecks: emptyPlan(),
				},
			},
		})
	})
}

// A token of ten minutes, the minimum, is renewed by a provider whose clock is seven minutes ahead.
func TestAccInfrastructure_renewal(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		config := i.hcl(t, strings.Replace(smallestInfrastructure, "name }", `name, lifetime = "10m" }`, 1))
		var ahead time.Duration
		factories := map[string]func() (tfprotov6.ProviderServer, error){
			"brane": providerserver.NewProtocol6WithError(provider.NewWithClock("test", func() time.Time { return time.Now().Add(ahead) })()),
		}
		var first []byte
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: factories,
			Steps: []resource.TestStep{
				{Config: config},
				{PreConfig: func() { first = i.kubeconfig(t, "compute"); ahead = 5 * time.Minute }, Config: config, ConfigPlanChecks: emptyPlan()},
				{
					PreConfig: func() { ahead = 7 * time.Minute },
					Config:    config,
					ConfigPlanChecks: driftsLike(`^the registered token is due for renewal: it expires at 20\d\d-.*Z$`,
						plancheck.ExpectUnknownValue(infrastructureAddress, tfjsonpath.New("fingerprint")), plancheck.ExpectUnknownValue(infrastructureAddress, tfjsonpath.New("expires_at"))),
					ExpectNonEmptyPlan: true, // for a clock that is ahead the new token is soon old again
				},
				{
					PreConfig: func() {
						if again := i.kubeconfig(t, "compute"); string(again) == string(first) {
							t.Error("the token is the old one")
						}
						ahead = 0
					},
					Config: config, ConfigPlanChecks: emptyPlan(),
				},
			},
		})
	})
}

// TestAccInfrastructure_renewBefore renews a token as long before it expires as renew_before demands. A change of renew_before replaces only a token that
// is due by the new value.
func TestAccInfrastructure_renewBefore(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	config := func(before string) string {
		return i.hcl(t, strings.Replace(smallestInfrastructure, "name }", fmt.Sprintf(`name, lifetime = "10m", renew_before = %q }`, before), 1))
	}
	var ahead time.Duration
	factories := map[string]func() (tfprotov6.ProviderServer, error){
		"brane": providerserver.NewProtocol6WithError(provider.NewWithClock("test", func() time.Time { return time.Now().Add(ahead) })()),
	}
	var first []byte
	isNew := func(want bool) resource.TestCheckFunc {
		return func(*terraform.State) error {
			if got := string(i.kubeconfig(t, "compute")) != string(first); got != want {
				return fmt.Errorf("a new token is registered: %t, want %t", got, want)
			}
			return nil
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories,
		Steps: []resource.TestStep{
			{Config: config("2m")},
			{
				PreConfig: func() { first = i.kubeconfig(t, "compute"); ahead = 7 * time.Minute }, // less than a third is left
				Config:    config("2m"), ConfigPlanChecks: emptyPlan(),
			},
			{
				PreConfig: func() { ahead = 5 * time.Minute },
				Config:    config("4m"), ConfigPlanChecks: plannedUpdate(), Check: isNew(false),
			},
			{
				Config: config("6m"), Check: isNew(true),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectUnknownValue(infrastructureAddress, tfjsonpath.New("fingerprint")),
				}},
				ExpectNonEmptyPlan: true, // the new token is due as well by a clock that is five minutes ahead
			},
			{
				PreConfig:          func() { ahead = 5 * time.Minute },
				Config:             config("6m"),
				ConfigPlanChecks:   driftsLike(`^the registered token is due for renewal: it expires at 20\d\d-.*Z$`),
				ExpectNonEmptyPlan: true,
			},
		},
	})
}

// With verify_credentials = false the provider does not connect to the API server; the expiry time of a token is checked nevertheless.
func TestAccInfrastructure_expired(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		createNamespace(t, i.Env, nil)
		config := i.hcl(t, alone(`{ service_account = "brane" }`, `address = "203.0.113.7:6443"`, `verify_credentials = false`))
		claims := fmt.Sprintf(`{"iat": 1700000000, "exp": 1700003600, "sub": "system:serviceaccount:%s:brane"}`, i.Namespace)
		old := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			Steps: []resource.TestStep{
				{Config: config},
				{
					PreConfig: func() {
						i.register(t, []byte(strings.Replace(string(i.rendered(t, old)), i.Client.Host(), "https://203.0.113.7:6443", 1)))
					},
					Config:           config,
					ConfigPlanChecks: acctest.ExpectDrift(infrastructureAddress, plancheck.ResourceActionUpdate, `the registered credential expired at 2023-11-14T23:13:20Z`),
				},
				{Config: config, ConfigPlanChecks: emptyPlan()},
			},
		})
	})
}

// If the API server is unreachable, the plan shows a warning: the files have no drift.
func TestAccInfrastructure_unreachable(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	createNamespace(t, i.Env, nil)
	body := alone(`{ service_account = "brane" }`, `address = "127.0.0.1:1"`, `verify_credentials = false`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: i.hcl(t, body)},
			{Config: i.hcl(t, body), ConfigPlanChecks: emptyPlan()},
			{
				Config:      i.hcl(t, strings.Replace(body, "verify_credentials = false", "", 1)),
				ExpectError: regexp.MustCompile(`Credentials failed verification[\s\S]*no\s+API\s+server\s+answers\s+at\s+https://127\.0\.0\.1:1[\s\S]*verify_credentials = false`),
			},
		},
	})
}

// After the service account was replaced, one apply registers new credentials and runs a workflow with them.
func TestAccInfrastructure_runsRightAfterHealing(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		registered := i.hcl(t, strings.Replace(smallestInfrastructure, `"submit"`, `"run"`, 1))
		running := registered + i.RunConfig(t, i.Namespace, `
  steps   = { greet = { image = "$TOOLS", command = ["sh", "-c", "echo hello > /data/greeting"] } }
  outputs = { greeting = { path = "greeting" } }
`)
		running = strings.ReplaceAll(strings.Replace(running, i.ProviderBlock(), "", 1), fmt.Sprintf("infrastructure = %q", i.Namespace), "infrastructure = brane_infrastructure.test.name")
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			Steps: []resource.TestStep{
				{Config: registered},
				{
					PreConfig: i.revoke(t), Config: running,
					ConfigPlanChecks: acctest.ExpectDrift(infrastructureAddress, plancheck.ResourceActionUpdate,
						i.earlierAccount()),
					ConfigStateChecks: []statecheck.StateCheck{
						statecheck.ExpectKnownValue(acctest.RunAddress, tfjsonpath.New("outputs").AtMapKey("greeting").AtMapKey("content"), knownvalue.StringExact("hello\n")),
					},
				},
				{Config: running, ConfigPlanChecks: emptyPlan()},
			},
		})
	})
}
