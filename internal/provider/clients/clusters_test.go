package clients_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
)

// The test uses two clusters in one provider block with for_each; a third, unreachable cluster does not affect them.
func TestAccClusters(t *testing.T) {
	t.Parallel()
	berlin := acctest.NewEnv(t)
	second := clustertest.Another(t, "5")
	oslo := acctest.Env{Client: second.Client, Namespace: berlin.Namespace}
	const away = `host = "https://127.0.0.1:1"`
	there := fmt.Sprintf("config_path = %q", acctest.WriteDocumentedKubeconfig(t, second))
	config := func(bergen, body string) string {
		return fmt.Sprintf(`
provider "brane" {
  clusters = {
    berlin = { config_path = %q }
    oslo   = { %s }
    bergen = { %s }
  }
  control_plane = { directory = %q }
}
`, clustertest.Getenv(t, acctest.KubeconfigVariable), there, bergen, berlin.Directory) + strings.ReplaceAll(body, "$NAMESPACE", berlin.Namespace)
	}
	const two = `
resource "brane_namespace" "test" {
  for_each = toset(["berlin", "oslo"])

  cluster = each.key
  name    = "$NAMESPACE"
}

resource "brane_infrastructure" "test" {
  for_each = brane_namespace.test

  cluster     = each.key
  name        = each.key
  namespace   = each.value.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = each.value.service_account.name }
}
`
	const oneOfThemAway = `
resource "brane_namespace" "away" {
  cluster  = "bergen"
  name     = "$NAMESPACE-away"
  timeouts = { create = "1s" }
}

resource "brane_namespace" "there" {
  cluster = "oslo"
  name    = "$NAMESPACE-there"
}
`
	address := func(s acctest.Env) knownvalue.Check {
		return knownvalue.StringExact(strings.TrimPrefix(s.Client.Host(), "https://"))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config: config(away, two),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(`brane_infrastructure.test["berlin"]`, tfjsonpath.New("address"), address(berlin)),
					statecheck.ExpectKnownValue(`brane_infrastructure.test["oslo"]`, tfjsonpath.New("address"), address(oslo)),
				},
			},
			{ // drift is found in the cluster where it is, and repaired there
				PreConfig: func() {
					binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: oslo.Namespace, Name: "brane"}}
					if err := oslo.Client.Delete(t.Context(), binding); err != nil {
						t.Fatal(err)
					}
				},
				Config: config(away, two),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(`brane_namespace.test["berlin"]`, plancheck.ResourceActionNoop),
					plancheck.ExpectResourceAction(`brane_namespace.test["oslo"]`, plancheck.ResourceActionUpdate),
					acctest.NewDriftCheck(`brane_namespace.test["oslo"]`, `RoleBinding "brane" is missing`),
				}},
			},
			{ // one cluster does not answer: what is in another is made all the same
				Config:      config(away, two+oneOfThemAway),
				ExpectError: regexp.MustCompile(`namespace "` + berlin.Namespace + `-away" in the\s+cluster\s+at\s+https://127\.0\.0\.1:1`),
			},
			{ // it answers again: only what was to be in it is still to do
				Config: config(there, two+oneOfThemAway),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.there", plancheck.ResourceActionNoop),
					plancheck.ExpectResourceAction("brane_namespace.away", plancheck.ResourceActionCreate),
				}},
			},
			{Config: config(there, "")}, // destroys everything; plugin-testing itself can't read a state with for_each to do so
		},
	})
	ns := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	if err := errors.Join(berlin.CheckGone(ns(berlin.Namespace)), oslo.CheckGone(ns(oslo.Namespace), ns(oslo.Namespace+"-there"), ns(oslo.Namespace+"-away"))); err != nil {
		t.Error(err)
	}
	t.Run("the API server is stopped and started in the middle of an apply", func(t *testing.T) { testRestart(t, second) })
}

// An import of a resource in one of `clusters` includes the name of the cluster; without it the next plan would replace the resource.
func TestAccClusters_import(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	config := fmt.Sprintf(`
provider "brane" {
  clusters      = { berlin = { config_path = %q } }
  control_plane = { directory = %q }
}

resource "brane_namespace" "test" {
  cluster = "berlin"
  name    = %q
}

resource "brane_infrastructure" "test" {
  cluster     = "berlin"
  name        = "compute"
  namespace   = brane_namespace.test.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.test.service_account.name }
}
`, clustertest.Getenv(t, acctest.KubeconfigVariable), s.Directory, s.Namespace)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config},
			{
				ImportState: true, ResourceName: "brane_namespace.test", ImportStateId: "berlin/" + s.Namespace,
				ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name",
			},
			{
				ImportState: true, ResourceName: "brane_infrastructure.test", ImportStateId: "berlin/compute",
				ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name", ImportStateVerifyIgnore: []string{"credentials.lifetime"}, // 2160h0m0s
			},
			{
				ImportState: true, ResourceName: "brane_namespace.test", ImportStateId: "/" + s.Namespace,
				ExpectError: regexp.MustCompile(`is neither a name nor[\s\S]cluster/name`),
			},
		},
	})
}

// The test covers the errors of a plan about the name of a cluster, without any cluster.
func TestClusterNames(t *testing.T) {
	two := acctest.Object{"berlin": acctest.Object{"host": "https://203.0.113.7:6443"}, "oslo": acctest.Object{"host": "https://203.0.113.8:6443"}}
	for name, tt := range map[string]struct {
		provider    acctest.Object
		environment string
		cluster     any
		want        string
	}{
		"it is one of them":               {acctest.Object{"clusters": two}, "", "oslo", ""},
		"it is known after apply":         {acctest.Object{"clusters": two}, "", acctest.Unknown, ""},
		"none, and kubernetes is written": {acctest.Object{"clusters": two, "kubernetes": acctest.Object{}}, "https://203.0.113.9", nil, ""},
		"none, and there are no clusters": {acctest.Object{}, "https://203.0.113.9", nil, ""},
		"it is none of them": {acctest.Object{"clusters": two}, "", "bergen",
			`Looking for the cluster: there is no cluster "bergen" in clusters of the provider block: it has "berlin", "oslo".`},
		"there are no clusters": {acctest.Object{"kubernetes": acctest.Object{"host": "https://203.0.113.7"}}, "", "bergen",
			`Looking for the cluster: there is no cluster "bergen" in clusters of the provider block: it has no clusters.`},
		"none, and the environment's is not meant": {acctest.Object{"clusters": two}, "https://203.0.113.9", nil,
			`Looking for the cluster: cluster is not set, and the provider block has no kubernetes block, which is the default: it has "berlin", "oslo".`},
		"the clusters are known after apply": {acctest.Object{"clusters": acctest.Unknown}, "", "bergen", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBE_HOST", tt.environment)
			t.Setenv("KUBE_CONFIG_PATH", "")
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(tt.provider, false).Diagnostics)
			for name, config := range map[string]acctest.Object{
				"brane_namespace": {"name": "compute", "cluster": tt.cluster},
				"brane_infrastructure": {"name": "compute", "cluster": tt.cluster, "namespace": "compute", "registry": "198.51.100.10:50050",
					"callback_to": "http://198.51.100.10:50052", "credentials": acctest.Object{"service_account": "brane"}},
			} {
				want := ""
				if tt.want != "" {
					want = `ERROR, AttributeName("cluster"): Unknown cluster: ` + tt.want
				}
				if got := acctest.FormatDiagnostics(s.Plan(name, config, false).Diagnostics); got != want {
					t.Errorf("%s: got  %s\nwant %s", name, got, want)
				}
			}
		})
	}
}

// Data sources are read during a plan, so that a control plane in an unknown cluster is an error of the plan.
func TestClusterOfTheControlPlane(t *testing.T) {
	t.Parallel()
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{
		"clusters":      acctest.Object{"berlin": acctest.Object{"host": "https://203.0.113.7:6443"}, "oslo": acctest.Object{"host": "https://203.0.113.8:6443"}},
		"control_plane": acctest.Object{"kubernetes_secret": acctest.Object{"cluster": "bergen", "namespace": "brane", "name": "config"}},
	}, false).Diagnostics)
	for name, config := range map[string]acctest.Object{"brane_infrastructure": {"name": "compute"}, "brane_infrastructures": {}} {
		resp, err := s.ReadDataSource(t.Context(), &tfprotov6.ReadDataSourceRequest{TypeName: name, Config: s.EncodeObject(s.Schemas.DataSourceSchemas[name], config)})
		acctest.NoError(t, err)
		const want = `there is no cluster "bergen" in clusters of the provider block: it has "berlin", "oslo".`
		if got := acctest.FormatDiagnostics(resp.Diagnostics); !strings.HasPrefix(got, "ERROR: Control plane not available: ") || !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %s\nwant %s", name, got, want)
		}
	}
}

// A cluster that is created in the same apply is not known yet; the others are.
func TestClusterNotKnownYet(t *testing.T) {
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"clusters": acctest.Object{
		"berlin": acctest.Object{"host": "https://203.0.113.7:6443"},
		"oslo":   acctest.Object{"host": "https://203.0.113.8:6443", "token": acctest.Unknown},
		"broken": acctest.Object{"config_path": filepath.Join(t.TempDir(), "none")},
	}}, false).Diagnostics)
	for cluster, want := range map[string]string{"berlin": "203.0.113.7:6443", "oslo": ""} {
		plan := s.Plan("brane_infrastructure", acctest.Object{"name": "compute", "cluster": cluster, "namespace": "compute", "registry": "198.51.100.10:50050",
			"callback_to": "http://198.51.100.10:50052", "credentials": acctest.Object{"service_account": "brane"}}, false)
		s.RequireNoErrors(plan.Diagnostics)
		address := s.DecodeAttributes(s.Schemas.ResourceSchemas["brane_infrastructure"], plan.PlannedState)["address"]
		if want == "" && !address.IsKnown() {
			continue
		}
		if !address.IsKnown() || s.DecodeString(address) != want {
			t.Errorf("address in %s is planned as %s, want %q", cluster, address, want)
		}
	}
}

// TestKubernetesAt finds the provider's connection to a cluster, however its URL is written. Managed clusters often have a URL without a port.
func TestKubernetesAt(t *testing.T) {
	t.Parallel()
	c := &clients.Clients{}
	c.AddCluster("", &kube.Connection{Host: "https://a.example.org/k8s/clusters/c-1", Token: "token"})
	for server, isFound := range map[string]bool{
		"https://a.example.org:443/k8s/clusters/c-1": true, "https://a.example.org/k8s/clusters/c-1/": true,
		"https://a.example.org": false, "https://a.example.org:443/k8s/clusters/c-2": false, "https://a.example.org:6443/k8s/clusters/c-1": false,
	} {
		if client := c.KubernetesAt(server); (client != nil) != isFound {
			t.Errorf("the connection to %s is %v", server, client)
		}
	}
}

// TestNewInfrastructure distinguishes clusters with the same address by the paths of their URLs.
func TestNewInfrastructure(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{"https://a.example.org:443": "a.example.org:443", "https://a.example.org/k8s/clusters/c-1": "a.example.org:443/k8s/clusters/c-1"} {
		kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: server, Token: "token", Namespace: "brane"})
		if err != nil {
			t.Fatal(err)
		}
		registration := infra.Registration{Location: infra.Location{Address: "a.example.org:443"}, Kubeconfig: kubeconfig}
		if got := clients.NewInfrastructure(registration, nil).Server; got != want {
			t.Errorf("%s is identified by %s, not %s", server, got, want)
		}
	}
}
