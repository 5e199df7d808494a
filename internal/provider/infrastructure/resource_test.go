package infrastructure_test

import (
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
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

const infrastructureAddress = "brane_infrastructure.test"

// smallestInfrastructure is a minimal infrastructure with its namespace.
const smallestInfrastructure = `
resource "brane_namespace" "test" {
  name   = "$NAMESPACE"
  access = "submit"
}

resource "brane_infrastructure" "test" {
  name        = "compute"
  namespace   = brane_namespace.test.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.test.service_account.name }
}
`

// Content of the files that Terraform does not manage: it must be preserved.
const (
	othersInfra = `# the instance of the imaging group
locations:
  office: # a laptop
    kind: local
    callback_to: "http://198.51.100.10:50052"
    network: brane
    registry: 198.51.100.10:50050
    purpose: demos
`
	othersSecrets = "# ask Ada\noffice-vpn: eHl6\n"
)

func emptyPlan() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func plannedUpdate() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(infrastructureAddress, plancheck.ResourceActionUpdate)}}
}

func TestAccInfrastructure(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		i.put(t, "infra.yml", othersInfra)
		i.put(t, "secrets.yml", othersSecrets)
		smallest := i.hcl(t, smallestInfrastructure)
		fuller := strings.NewReplacer(
			"http://198.51.100.10:50052", "http://198.51.100.11:50052",
			"  credentials", "  mount_dfs   = \"redis://198.51.100.10\"\n  proxy_address = \"198.51.100.10:1080\"\n  secret_name = \"compute-1\"\n  credentials").Replace(smallest)
		var first []byte
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			CheckDestroy:             i.holds(t, othersInfra, othersSecrets),
			Steps: []resource.TestStep{
				{
					Config: smallest,
					Check: func(*terraform.State) error {
						first = i.kubeconfig(t, "compute")
						kubeconfig, err := credentials.Parse(first)
						if err != nil {
							return err
						}
						address := strings.TrimPrefix(kubeconfig.Server, "https://")
						return i.holds(t, othersInfra+fmt.Sprintf(`  compute:
    kind: kube
    address: %s
    callback_to: http://198.51.100.10:50052
    namespace: %s
    registry: 198.51.100.10:50050
    credentials:
      mechanism: config
      file: s$compute
`, address, i.Namespace), othersSecrets+"compute: "+infra.EncodeKubeconfig(first)+"\n")(nil)
					},
					ConfigStateChecks: []statecheck.StateCheck{
						statecheck.ExpectKnownValue(infrastructureAddress, tfjsonpath.New("secret_name"), knownvalue.StringExact("compute")),
						statecheck.ExpectKnownValue(infrastructureAddress, tfjsonpath.New("drift"), knownvalue.ListSizeExact(0)),
						statecheck.ExpectKnownValue(infrastructureAddress, tfjsonpath.New("token_secret"), knownvalue.Null()),
					},
				},
				{Config: smallest, Check: func(*terraform.State) error { return i.canOnlySubmit(t, first) }, ConfigPlanChecks: emptyPlan()},
				{
					ImportState: true, ResourceName: infrastructureAddress, ImportStateId: "compute",
					ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name",
				},
				{ImportState: true, ResourceName: infrastructureAddress, ImportStateId: "compute", ImportStateKind: resource.ImportBlockWithID},
				{ // all but the credential changes: in place, and the token stays
					Config: fuller, ConfigPlanChecks: plannedUpdate(),
					Check: func(*terraform.State) error {
						if again := i.kubeconfig(t, "compute"); string(again) != string(first) {
							return fmt.Errorf("the credential changed with the location")
						}
						text := i.get(t, "infra.yml")
						for _, line := range []string{"callback_to: http://198.51.100.11:50052", "mount_dfs: redis://198.51.100.10", "proxy_address: 198.51.100.10:1080", "file: s$compute-1"} {
							if !strings.Contains(text, line) {
								return fmt.Errorf("no %s in\n%s", line, text)
							}
						}
						if secrets := i.get(t, "secrets.yml"); strings.Contains(secrets, "compute:") {
							return fmt.Errorf("the old secret is still there:\n%s", secrets)
						}
						return nil
					},
				},
				{Config: fuller, ConfigPlanChecks: emptyPlan()},
				{
					ImportState: true, ResourceName: infrastructureAddress, ImportStateId: "compute",
					ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name",
				},
				{Config: smallest, ConfigPlanChecks: plannedUpdate()},
			},
		})
	})
}

// canOnlySubmit creates a Job with the registered kubeconfig as the instance does, and checks that other requests are forbidden.
func (i instance) canOnlySubmit(t *testing.T, kubeconfig []byte) error {
	t.Helper()
	parsed, err := credentials.Parse(kubeconfig)
	if err != nil {
		return err
	}
	client, err := kube.New(parsed.Config())
	if err != nil {
		return err
	}
	job := func(namespace string) *batchv1.Job {
		return &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: clustertest.Name("job")},
			Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: clustertest.Getenv(t, "BRANE_TOOLS_IMAGE"), Command: []string{"true"}}},
			}}},
		}
	}
	if err := client.Create(t.Context(), job(i.Namespace)); err != nil {
		return fmt.Errorf("with the registered credential: %w", err)
	}
	for what, object := range map[string]kube.Object{
		"a Job elsewhere": job("default"),
		"a Pod":           &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: "pod"}},
	} {
		if err := client.Create(t.Context(), object); !apierrors.IsForbidden(err) {
			return fmt.Errorf("%s with the registered credential: %w", what, err)
		}
	}
	return nil
}

func TestAccInfrastructure_exists(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		i.put(t, "infra.yml", strings.ReplaceAll(othersInfra, "office", "compute"))
		i.put(t, "secrets.yml", othersSecrets)
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			CheckDestroy:             i.holds(t, strings.ReplaceAll(othersInfra, "office", "compute"), othersSecrets),
			Steps: []resource.TestStep{{
				Config:      i.hcl(t, smallestInfrastructure),
				ExpectError: regexp.MustCompile(`Location already exists[\s\S]*import \{[\s\S]*to = brane_infrastructure[\s\S]*id = "compute"`),
			}},
		})
	})
}

// Credentials are verified before the files are written: here the service account has no role.
func TestAccInfrastructure_tooWeakToRegister(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	createNamespace(t, i.Env, nil)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             i.holds(t, "", ""),
		Steps: []resource.TestStep{{
			Config:      i.hcl(t, alone(`{ service_account = "brane" }`)),
			ExpectError: regexp.MustCompile(`Credentials failed verification[\s\S]*nothing\s+was\s+registered[\s\S]*create\s+jobs\.batch[\s\S]*` + i.Namespace),
		}},
	})
}

func TestAccInfrastructure_noAccount(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	createNamespace(t, i.Env, nil)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             i.holds(t, "", ""),
		Steps: []resource.TestStep{{
			Config:      i.hcl(t, alone(`{ service_account = "nobody" }`)),
			ExpectError: regexp.MustCompile(`Failed to request a token[\s\S]*the\s+service\s+account\s+does\s+not\s+exist`),
		}},
	})
}

// alone returns an infrastructure in a namespace that Terraform does not manage.
func alone(credentials string, more ...string) string {
	return fmt.Sprintf(`
resource "brane_infrastructure" "test" {
  name        = "compute"
  namespace   = "$NAMESPACE"
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = %s
  %s
}
`, credentials, strings.Join(more, "\n  "))
}

// createNamespace creates the namespace of the test with only a service account.
func createNamespace(t *testing.T, s acctest.Env, labels map[string]string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace, Labels: labels}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "brane"}}
	for _, object := range []kube.Object{namespace, account} {
		if err := s.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx := testenv.Context(t)
		if err := s.Client.Delete(ctx, namespace); err != nil {
			t.Error(err)
		}
	})
}
