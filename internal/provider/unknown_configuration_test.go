package provider_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The cluster is created in the same apply as its resources: the plan succeeds, and the apply creates everything.
func TestAccClusterOfTheSameApply(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	config := func(kubeconfig string) string {
		return fmt.Sprintf(`
resource "terraform_data" "cluster" { # stands for a cluster whose kubeconfig is known when it is there
  input = %q
}

provider "brane" {
  kubernetes    = { config_path = terraform_data.cluster.output }
  control_plane = { directory = %q }
}

resource "brane_namespace" "test" {
  name = %q
}

resource "brane_infrastructure" "test" {
  name        = "compute"
  namespace   = brane_namespace.test.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.test.service_account.name }
}
`, kubeconfig, s.Directory, s.Namespace)
	}
	kubeconfig := clustertest.Getenv(t, acctest.KubeconfigVariable)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config: config(kubeconfig),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionCreate),
					plancheck.ExpectUnknownValue("brane_infrastructure.test", tfjsonpath.New("address")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("brane_infrastructure.test", tfjsonpath.New("address"), knownvalue.StringExact(s.Client.Host()[len("https://"):])),
				},
			},
			{ // the cluster is changed: what is in it can't be looked at, and stays planned as it was
				Config: config("/." + kubeconfig),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionNoop),
				}},
			},
		},
	})
}

// A CLI that supports deferral is asked to defer as long as a part of the configuration that any resource can need is unknown.
func TestDeferral(t *testing.T) {
	compute := acctest.Object{"name": "compute"}
	for name, tt := range map[string]struct {
		provider acctest.Object
		resource acctest.Object
		allowed  bool
		want     bool
	}{
		"everything is known":                       {acctest.Object{"kubernetes": acctest.Object{"host": "https://203.0.113.7"}}, compute, true, false},
		"the cluster is not known":                  {acctest.Object{"kubernetes": acctest.Object{"host": acctest.Unknown}}, compute, true, true},
		"the block is not known":                    {acctest.Object{"kubernetes": acctest.Unknown}, compute, true, true},
		"the clusters are not known":                {acctest.Object{"clusters": acctest.Unknown}, compute, true, true},
		"the Redis is not known":                    {acctest.Object{"redis": acctest.Object{"url": acctest.Unknown}}, compute, true, true},
		"the control plane is not known":            {acctest.Object{"control_plane": acctest.Object{"directory": acctest.Unknown}}, compute, true, true},
		"the cluster is not known, nothing allowed": {acctest.Object{"kubernetes": acctest.Object{"host": acctest.Unknown}}, compute, false, false},
		"one of two clusters is not known, and it is this": {acctest.Object{"clusters": acctest.Object{"berlin": acctest.Object{"host": "https://203.0.113.7"}, "oslo": acctest.Object{"host": acctest.Unknown}}},
			acctest.Object{"name": "compute", "cluster": "oslo"}, true, true},
		"one of two clusters is not known, and it is the other": {acctest.Object{"clusters": acctest.Object{"berlin": acctest.Object{"host": "https://203.0.113.7"}, "oslo": acctest.Object{"host": acctest.Unknown}}},
			acctest.Object{"name": "compute", "cluster": "berlin"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(tt.provider, tt.allowed).Diagnostics)
			planned := s.Plan("brane_namespace", tt.resource, tt.allowed)
			if got := acctest.FormatDiagnostics(planned.Diagnostics); got != "" {
				t.Error(got)
			}
			if (planned.Deferred != nil) != tt.want {
				t.Errorf("put off is %v, want %v", planned.Deferred, tt.want)
			}
			if planned.Deferred != nil && planned.Deferred.Reason != tfprotov6.DeferredReasonProviderConfigUnknown {
				t.Errorf("the reason is %s", planned.Deferred.Reason)
			}
		})
	}
}
