package workflowrun_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestAccWorkflowRun_publicPackages plans calls of packages that people have written for five versions of Brane. What would fail in the container is an error.
func TestAccWorkflowRun_publicPackages(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	call := func(name, file, function, more string) string {
		return fmt.Sprintf(`
resource "brane_workflow_run" %[1]q {
  name           = %[1]q
  infrastructure = "compute"
  steps = { call = { package = "%[2]s:1.0.0", package_file = "%[3]s/%[2]s.container.yml", function = %[4]q, %[5]s } }
}
`, name, file, acctest.RepositoryPath("internal/provider/branepackage/testdata"), function, more)
	}
	input := func(version, argument string) string {
		return fmt.Sprintf("brane_version = %q, arguments = { input = { %s } }", version, argument)
	}
	// In Brane 3, bool, int and int[] are what is called boolean, integer and integers here.
	good := strings.Replace(call("hello", "hello", "hello_world", ""), `hello:1.0.0`, "hello_world:1.0.0", 1) +
		call("bool", "serialize", "of_bool", input("3", "boolean = true")) + call("int", "serialize", "of_int", input("3", "integer = 3")) +
		call("ints", "serialize", "of_ints", input("3", "integers = [1, 2]")) + call("data", "serialize", "of_data", input("3", `string = "/data/set"`)) +
		call("download", "archive", "download", `arguments = { files = { files = ["a", "b"] }, target = { directory = "out" }, proxy = { string = "documentation" } }`)
	bad := call("table", "serialize", "of_table", input("3", "integers = [1, 2]")) + call("sample", "serialize", "of_sample", input("3", `string = "{}"`)) +
		call("older", "serialize", "of_int", input("0.6", "integer = 3")) + call("status", "archive", "status", "arguments = { request_id = { integer = 1 } }") +
		call("draw", "heatmap", "draw", `arguments = { slide = { string = "a" }, settings = { string = "{}" } }`) + call("typo", "archive", "dowload", "arguments = {}")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps:                    []resource.TestStep{{Config: s.Config(t, good), PlanOnly: true, ExpectNonEmptyPlan: true}},
	})
	acctest.ExpectError(t, resource.TestStep{Config: s.Config(t, bad)}, []string{
		"int[][]", "Sample", `"dowload"`, "download, status", "password", "Settings",
	})
}
