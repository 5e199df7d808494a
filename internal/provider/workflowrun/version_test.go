package workflowrun_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// An agent of another version than the provider fails the run, and the message names both versions and what to set.
func TestAccWorkflowRun_otherVersion(t *testing.T) {
	t.Parallel()
	newer := map[string]func() (tfprotov6.ProviderServer, error){"brane": providerserver.NewProtocol6WithError(provider.New("9.9.9")())}
	for _, injection := range []string{"init_container", "image_volume"} {
		t.Run(injection, func(t *testing.T) {
			t.Parallel()
			if injection == "image_volume" {
				clustertest.RequireImageVolumes(t)
			}
			s := acctest.NewEnv(t)
			s.RegisterInfrastructure(t)
			failed := false
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: newer,
				Steps:                    []resource.TestStep{{Config: s.RunConfig(t, "newer", "steps = { a = { image = \"$TOOLS\", command = [\"true\"] } }\nagent_injection = \""+injection+"\"")}},
				ErrorCheck: func(err error) error {
					failed = true
					return acctest.CheckError(err, "the agent has version dev, but the provider that started it has version 9.9.9",
						"leave out agent_image of the provider block (or BRANE_AGENT_IMAGE), or set it to an image of version 9.9.9")
				},
			})
			if !failed {
				t.Error("there was no error")
			}
		})
	}
}
