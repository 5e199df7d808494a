package workflowrun_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestAccWorkflowRun_invalidReplacement replaces a run by one that is only found not to be valid when it is applied, because its image is not known before. The
// files of the old run stay: with its configuration, no step runs again. When a valid run has succeeded, they are deleted.
func TestAccWorkflowRun_invalidReplacement(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	config := func(image, word string) string {
		return s.RunConfig(t, "replaced", `
  steps = {
    work = {
      image   = terraform_data.given.output.image
      command = ["sh", "-c", "cat /proc/sys/kernel/random/uuid > /data/work; echo ${terraform_data.given.output.word}"]
    }
  }
  outputs = { work = { path = "work" } }`) + strings.ReplaceAll(
			fmt.Sprintf("resource \"terraform_data\" \"given\" {\n  input = { image = %q, word = %q }\n}\n", image, word), "$TOOLS", s.Getenv(t, "BRANE_TOOLS_IMAGE"))
	}
	content := func(state *terraform.State) string {
		return state.RootModule().Resources[acctest.RunAddress].Primary.Attributes["outputs.work.content"]
	}
	var first, id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config("$TOOLS", "one"), Check: func(state *terraform.State) (err error) {
				first = content(state)
				id, err = acctest.RunID(state)
				return err
			}},
			{Config: config("NOT AN IMAGE", "one"), ExpectError: regexp.MustCompile(`steps\["work"\]\.image`)},
			{Config: config("$TOOLS", "one"), Check: func(state *terraform.State) error {
				if again := content(state); again != first {
					return fmt.Errorf("the step has run again: its output was %q and is %q", first, again)
				}
				return nil
			}},
			{Config: config("$TOOLS", "two"), Check: func(state *terraform.State) error {
				if again := content(state); again == first {
					return fmt.Errorf("the output is the old one: %q", again)
				}
				return acctest.CheckNoRedisKeys(context.Background(), store, id)
			}},
		},
	})
}
