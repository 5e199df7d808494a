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
)

// The cluster is created in the same apply as its resources: the plan succeeds, and the apply creates everything.
func TestAccClusterOfTheSameApply(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
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
`, kubeconfig, s.folder, s.namespace)
	}
	kubeconfig := clustertest.Getenv(t, ownKubeconfig)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: inProcess,
		Steps: []resource.TestStep{
			{
				Config: config(kubeconfig),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionCreate),
					plancheck.ExpectUnknownValue("brane_infrastructure.test", tfjsonpath.New("address")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("brane_infrastructure.test", tfjsonpath.New("address"), knownvalue.StringExact(s.client.Host()[len("https://"):])),
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
	compute := object{"name": "compute"}
	for name, tt := range map[string]struct {
		provider object
		resource object
		allowed  bool
		want     bool
	}{
		"everything is known":                       {object{"kubernetes": object{"host": "https://203.0.113.7"}}, compute, true, false},
		"the cluster is not known":                  {object{"kubernetes": object{"host": notKnown}}, compute, true, true},
		"the block is not known":                    {object{"kubernetes": notKnown}, compute, true, true},
		"the clusters are not known":                {object{"clusters": notKnown}, compute, true, true},
		"the Redis is not known":                    {object{"redis": object{"url": notKnown}}, compute, true, true},
		"the control plane is not known":            {object{"control_plane": object{"directory": notKnown}}, compute, true, true},
		"the cluster is not known, nothing allowed": {object{"kubernetes": object{"host": notKnown}}, compute, false, false},
		"one of two clusters is not known, and it is this": {object{"clusters": object{"berlin": object{"host": "https://203.0.113.7"}, "oslo": object{"host": notKnown}}},
			object{"name": "compute", "cluster": "oslo"}, true, true},
		"one of two clusters is not known, and it is the other": {object{"clusters": object{"berlin": object{"host": "https://203.0.113.7"}, "oslo": object{"host": notKnown}}},
			object{"name": "compute", "cluster": "berlin"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpeaker(t)
			s.ok(s.configure(tt.provider, tt.allowed).Diagnostics)
			planned := s.plan("brane_namespace", tt.resource, tt.allowed)
			if got := tell(planned.Diagnostics); got != "" {
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
