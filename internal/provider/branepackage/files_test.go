package branepackage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestAccPackageDataSource_publicFiles reads files that people have written for five versions of Brane.
func TestAccPackageDataSource_publicFiles(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	signatures := map[string]map[string]string{
		"hello.container":     {"hello_world": "() -> string"},
		"serialize.container": {"of_bool": "(input: bool) -> string", "of_int": "(input: int) -> string", "of_ints": "(input: int[]) -> string", "of_table": "(input: int[][]) -> string", "of_data": "(input: Data) -> IntermediateResult", "of_sample": "(input: Sample) -> string"},
		"archive.container":   {"download": "(files: File[], target: Directory, proxy: string (secret)) -> File[]", "status": "(request_id: integer, password: string (secret)) -> string"},
		"heatmap.container":   {"draw": "(slide: string, settings: Settings) -> Output"},
		"github.package":      {"getreadme": "(owner: string, repo: string) -> Readme"},
	}
	data, all, want := "", "", map[string]knownvalue.Check{}
	for file, functions := range signatures {
		name := strings.ReplaceAll(file, ".", "_")
		data += fmt.Sprintf("data \"brane_package\" %q {\n  file = %q\n}\n", name, acctest.RepositoryPath("internal/provider/branepackage/testdata/"+file+".yml"))
		all += fmt.Sprintf("%q = data.brane_package.%s, ", file, name)
		of := map[string]knownvalue.Check{}
		for name, signature := range functions {
			of[name] = knownvalue.StringExact(signature)
		}
		want[file] = knownvalue.ObjectExact(of)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: s.Config(t, data+fmt.Sprintf(`
output "signatures" {
  value = {
    for file, package in { %s } : file => {
      for name, function in package.functions : name =>
      "(${join(", ", [for p in function.parameters : "${p.name}: ${p.type}${p.secret ? " (secret)" : ""}"])}) -> ${function.returns}"
    }
  }
}`, strings.TrimSuffix(all, ", "))),
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("signatures", knownvalue.ObjectExact(want))},
		}},
	})
}
