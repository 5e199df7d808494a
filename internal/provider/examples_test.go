package provider_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// Every configuration in examples/ works as it stands, but for its names: tests run beside each other, and one that was broken off may have left something.
func TestAccExamples(t *testing.T) {
	t.Parallel()
	const root = "../../examples"
	applied := map[string]string{
		"quickstart":                         "words = 100801",
		"data-sources/brane_infrastructures": "long_lived = []",
		"resources/brane_namespace":          "",
		"resources/brane_infrastructure":     "",
		"resources/brane_workflow_run":       "Hello, Ada",
		"packages":                           " 7 ###",
		"data-sources/brane_package":         `"chart" = "File"`,
		"resources/brane_file":               "Off with their heads!",
	}
	for name, want := range applied {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newSetting(t), newCLI(t)
			s.copyExample(t, filepath.Join(root, name), c.dir)
			if name != "quickstart" { // it has a provider block of its own
				c.write(t, "provider.tf", required+s.provider())
			}
			c.run(t, "init", "-no-color")
			c.destroyAtEnd(t)
			if out := c.run(t, "apply", "-auto-approve", "-no-color"); !strings.Contains(out, want) {
				t.Errorf("apply does not tell %q:\n%s", want, out)
			}
			c.run(t, "plan", "-detailed-exitcode", "-no-color") // 2 would be a difference
		})
	}
	validated := []string{ // these name clusters and infrastructures that are not there
		"provider", "clusters", "data-sources/brane_file", "data-sources/brane_infrastructure", "data-sources/brane_namespace", "ephemeral-resources/brane_kubeconfig",
		"functions/backend_yml", "functions/infra_yml", "functions/kubeconfig", "functions/secrets_yml",
	}
	for _, name := range validated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newSetting(t), newCLI(t)
			s.copyExample(t, filepath.Join(root, name), c.dir)
			if name != "provider" && filepath.Dir(name) != "functions" { // those say themselves what they need
				c.write(t, "required.tf", required)
			}
			c.run(t, "init", "-no-color")
			c.run(t, "validate", "-no-color")
		})
	}
	t.Run("no other", func(t *testing.T) {
		t.Parallel()
		must(t, filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
			folder, _ := filepath.Rel(root, filepath.Dir(file))
			_, isApplied := applied[filepath.ToSlash(folder)]
			isAction := strings.HasPrefix(filepath.ToSlash(folder), "actions/") // a language of 1.14
			if filepath.Ext(file) == ".tf" && !isApplied && !isAction && !slices.Contains(validated, filepath.ToSlash(folder)) {
				t.Errorf("example %s is not tested", folder)
			}
			return err
		}))
	})
}

var resourceName = regexp.MustCompile(`(?m)^(\s+name\s+= ")([a-z-]+)(")`)

// copyExample copies an example's own files, with the setting's name added to all names of resources.
func (s setting) copyExample(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	must(t, err)
	suffix := strings.TrimPrefix(s.namespace, "acc")
	for _, entry := range entries {
		if entry.Name() == "import-by-identity.tf" { // a language of 1.12, and what it would import is made by the example itself
			continue
		}
		if strings.HasPrefix(entry.Name(), "terraform.tfstate") || strings.HasPrefix(entry.Name(), ".") {
			continue // what somebody's own apply has left
		}
		if entry.IsDir() { // where the example's apply puts files
			must(t, os.Mkdir(filepath.Join(to, entry.Name()), 0o755))
			continue
		}
		if strings.HasPrefix(entry.Name(), "resource_") { // further examples on the same page; they cannot stand beside the first
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, entry.Name()))
		must(t, err)
		if filepath.Ext(entry.Name()) == ".tf" {
			text = resourceName.ReplaceAll(text, []byte("${1}${2}"+suffix+"${3}"))
		}
		must(t, os.WriteFile(filepath.Join(to, entry.Name()), text, 0o600))
	}
	clustertest.Getenv(t, "TF_VAR_tools_image") // the examples' own default would be pulled from the internet
}
