package workflowrun_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// pushTools puts the tools' image under another name, with a program of its own, and gives its digest.
func pushTools(t *testing.T, reference string, config v1.Config) string {
	t.Helper()
	from, err := name.ParseReference(clustertest.Getenv(t, "BRANE_TOOLS_IMAGE"))
	acctest.NoError(t, err)
	tools, err := remote.Image(from)
	acctest.NoError(t, err)
	file, err := tools.ConfigFile()
	acctest.NoError(t, err)
	config.Env = file.Config.Env
	made, err := mutate.Config(tools, config)
	acctest.NoError(t, err)
	to, err := name.NewTag(reference)
	acctest.NoError(t, err)
	acctest.NoError(t, remote.Write(to, made))
	digest, err := made.Digest()
	acctest.NoError(t, err)
	return digest.String()
}

// A step without a command runs what its image does, as it was when Terraform planned; a tag that has moved makes a new run, a registry that is out of
// reach makes none.
func TestAccWorkflowRun_entryPoint(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	repository := clustertest.Getenv(t, "BRANE_REGISTRY") + "/" + s.Namespace
	says := func(word string) v1.Config {
		return v1.Config{Entrypoint: []string{"sh", "-c", "echo " + word + " \"$0\" > /data/$STEP"}, Cmd: []string{"by itself"}}
	}
	first := pushTools(t, repository+":1", says("first"))
	config := s.Config(t, strings.ReplaceAll(`
resource "brane_workflow_run" "test" {
  name           = "entry"
  infrastructure = "$NAMESPACE"
  defaults       = { image = "IMAGE" }
  steps = {
    plain = { env = { STEP = "plain" } }
    args  = { env = { STEP = "args" }, args = ["by $argument"] }
    shell = { command = ["sh", "-c", "cat /data/plain /data/args > /data/all"], needs = ["plain", "args"] }
  }
  outputs = { all = { path = "all" } }
}
`, `IMAGE"`, repository+`:1"`))
	pinned := func(digest string) knownvalue.Check {
		return knownvalue.MapExact(map[string]knownvalue.Check{
			"plain": knownvalue.StringExact(repository + "@" + digest), "args": knownvalue.StringExact(repository + "@" + digest),
		})
	}
	second := ""
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"all": acctest.ExpectOutput("all", "first by itself\nfirst by $argument\n")})),
					acctest.ExpectRunValue("images", pinned(first)),
				},
			},
			{
				PreConfig: func() { second = pushTools(t, repository+":1", says("second")) },
				Config:    config,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"all": acctest.ExpectOutput("all", "second by itself\nsecond by $argument\n")})),
				},
				Check: resource.TestCheckResourceAttrWith(acctest.RunAddress, "images.plain", func(got string) error {
					if want := repository + "@" + second; got != want {
						return fmt.Errorf("pinned to %s, not to %s", got, want)
					}
					return nil
				}),
			},
			{
				PreConfig: func() {
					for _, reference := range []string{repository + ":1", repository + "@" + second} {
						gone, err := name.ParseReference(reference)
						acctest.NoError(t, err)
						acctest.NoError(t, remote.Delete(gone))
					}
				},
				Config:           config,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
			},
			{
				Config:      strings.ReplaceAll(config, `"by $argument"`, `"once more"`),
				ExpectError: regexp.MustCompile(`(?s)Failed to read image.*Step "args" has no command.*read\s+image\s+"` + regexp.QuoteMeta(repository) + `.*Set\s+command,\s+or\s+log\s+in`),
			},
		},
	})
}
