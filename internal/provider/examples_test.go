package provider_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// Every configuration in examples/ works as it stands, but for its names: tests run beside each other, and one that was broken off may have left something.
func TestAccExamples(t *testing.T) {
	t.Parallel()
	const root = "../../examples"
	for name, want := range map[string]string{
		"quickstart":                     "words = 100801",
		"resources/brane_namespace":      "",
		"resources/brane_infrastructure": "",
		"resources/brane_workflow_run":   "Hello, Ada",
	} {
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
	for _, name := range []string{"provider", "clusters"} { // these name clusters that are not there
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newSetting(t), newCLI(t)
			s.copyExample(t, filepath.Join(root, name), c.dir)
			if name == "clusters" {
				c.write(t, "required.tf", required)
			}
			c.run(t, "init", "-no-color")
			c.run(t, "validate", "-no-color")
		})
	}
	t.Run("no other", func(t *testing.T) {
		t.Parallel()
		known := map[string]bool{"provider": true, "clusters": true, "quickstart": true, "resources/brane_namespace": true, "resources/brane_infrastructure": true, "resources/brane_workflow_run": true}
		must(t, filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
			if folder, _ := filepath.Rel(root, filepath.Dir(file)); filepath.Ext(file) == ".tf" && !known[filepath.ToSlash(folder)] {
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
		if strings.HasPrefix(entry.Name(), "terraform.tfstate") || strings.HasPrefix(entry.Name(), ".") {
			continue // what somebody's own apply has left
		}
		if entry.IsDir() { // where the example's apply puts files
			must(t, os.Mkdir(filepath.Join(to, entry.Name()), 0o755))
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
