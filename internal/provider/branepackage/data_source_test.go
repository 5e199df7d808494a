package branepackage_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

func TestAccPackageDataSource(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	description, err := os.ReadFile(acctest.RepositoryPath("internal/brane/branelet/packagefile/testdata/early.container.yml"))
	acctest.NoError(t, err)
	acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("container.yml"), description, 0o600))
	acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("broken.yml"), []byte("name: a\n"), 0o600))
	text := knownvalue.StringExact
	parameter := func(name, kind string, optional, secret bool) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{"name": text(name), "type": text(kind), "optional": knownvalue.Bool(optional), "secret": knownvalue.Bool(secret)})
	}
	is := func(address, attribute string, check knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("data.brane_package."+address, tfjsonpath.New(attribute), check)
	}
	config := s.Config(t, strings.ReplaceAll(`
data "brane_package" "file" {
  file = "$FOLDER/container.yml"
}
data "brane_package" "new" {
  image = "$REGISTRY/library/statistics:1.0.0"
}
data "brane_package" "old" {
  image = "$REGISTRY/library/probe:0.4.0"
}
`, "$FOLDER", s.Directory))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					is("file", "name", text("survey")), is("file", "version", text("1.2.0-rc.1")), is("file", "kind", text("compute")), is("file", "description", text("Looks at the sky.\n")),
					is("file", "owners", knownvalue.ListExact([]knownvalue.Check{text("Ada")})), is("file", "detached", knownvalue.Bool(false)),
					is("file", "functions", knownvalue.MapExact(map[string]knownvalue.Check{
						"look": knownvalue.ObjectExact(map[string]knownvalue.Check{"description": text("Takes a picture."), "returns": text("Field"), "parameters": knownvalue.ListExact([]knownvalue.Check{
							parameter("at", "real[]", false, false), parameter("key", "string", false, true), parameter("zoom", "integer", true, false),
						})}),
						"rest": knownvalue.ObjectExact(map[string]knownvalue.Check{"description": knownvalue.Null(), "returns": text("unit"), "parameters": knownvalue.ListSizeExact(0)}),
					})),
					is("file", "types", knownvalue.MapExact(map[string]knownvalue.Check{"Field": knownvalue.ObjectExact(map[string]knownvalue.Check{"properties": knownvalue.ListExact([]knownvalue.Check{
						knownvalue.ObjectExact(map[string]knownvalue.Check{"name": text("title"), "type": text("string")}),
						knownvalue.ObjectExact(map[string]knownvalue.Check{"name": text("image"), "type": text("File")}),
					})})})),
					is("file", "pinned", knownvalue.Null()), is("file", "labels", knownvalue.Null()), is("file", "entrypoint", knownvalue.Null()),
					is("new", "name", text("statistics")), is("new", "functions", knownvalue.MapSizeExact(2)), is("new", "types", knownvalue.MapSizeExact(1)),
					is("new", "entrypoint", knownvalue.ListExact([]knownvalue.Check{text("/branelet")})), is("new", "labels", knownvalue.MapExact(map[string]knownvalue.Check{"brane.package": text("statistics:1.0.0")})),
					is("new", "pinned", knownvalue.StringRegexp(regexp.MustCompile(`/library/statistics@sha256:[0-9a-f]{64}$`))),
					is("old", "name", text("probe")), is("old", "functions", knownvalue.MapSizeExact(17)),
				},
			},
			{Config: s.Config(t, `data "brane_package" "a" { image = "$TOOLS" }`), ExpectError: regexp.MustCompile(`(?s)Image is not a Brane package.*contains\s+neither\s+/opt/wd/local_container.yml\s+nor\s+/opt/wd/container.yml`)},
			{Config: s.Config(t, `data "brane_package" "a" { image = "$REGISTRY/library/none:1" }`), ExpectError: regexp.MustCompile(`(?s)Failed to read image.*Reading\s+package\s+".*/library/none:1"`)},
			{Config: s.Config(t, `data "brane_package" "a" { file = "`+s.ControlPlaneFile("broken.yml")+`" }`), ExpectError: regexp.MustCompile(`(?s)Failed to read package file.*kind\s+is\s+missing`)},
			{Config: s.Config(t, `data "brane_package" "a" {}`), ExpectError: regexp.MustCompile(`(?s)No\s+attribute\s+specified\s+when\s+one\s+\(and\s+only\s+one\)\s+of\s+\[.*file.*image.*\]\s+is\s+required`)},
			{Config: s.ProviderBlock()}, // what the end destroys has to be possible
		},
	})
}
