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
		"resources/brane_file_set":           "Off with their heads!",
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
		if !strings.HasPrefix(entry.Name(), "resource_") { // those are further examples on the same page, with tests of their own
			s.copyFile(t, filepath.Join(from, entry.Name()), to)
		}
	}
	clustertest.Getenv(t, "TF_VAR_tools_image") // the examples' own default would be pulled from the internet
}

// copyFile copies one file of an example.
func (s setting) copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	must(t, err)
	if filepath.Ext(from) == ".tf" {
		text = resourceName.ReplaceAll(text, []byte("${1}${2}"+strings.TrimPrefix(s.namespace, "acc")+"${3}"))
	}
	must(t, os.WriteFile(filepath.Join(to, filepath.Base(from)), text, 0o600))
}

// The example of a step that is many, on a node with what it asks for: a label, devices, a claim and a Secret. There is no CSI driver; in the place of its
// volume an empty one is mounted.
func TestAccExampleMany(t *testing.T) {
	t.Parallel()
	const example = "../../examples/resources/brane_workflow_run"
	s, c := newSetting(t), newCLI(t)
	s.copyExample(t, example, c.dir)
	s.copyFile(t, filepath.Join(example, "resource_many.tf"), c.dir)
	many := filepath.Join(c.dir, "resource_many.tf")
	text, err := os.ReadFile(many)
	must(t, err)
	csi := regexp.MustCompile(`read_only = true, csi = \{.*"juicefs" \}`)
	if !csi.Match(text) {
		t.Fatalf("the example mounts no volume of a CSI driver:\n%s", text)
	}
	must(t, os.WriteFile(many, csi.ReplaceAll(text, []byte("empty_dir = {}")), 0o600))
	c.write(t, "provider.tf", required+s.provider()+`
output "uploaded" { value = brane_workflow_run.training.outputs.uploaded.content }
`)
	c.run(t, "init", "-no-color")
	c.destroyAtEnd(t)
	c.run(t, "apply", "-auto-approve", "-no-color", "-target=brane_infrastructure.runs")

	kubectl := func(stdin string, args ...string) string { return s.administrator(t, stdin, args...) }
	node, namespace, shared := kubectl("", "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"), "brane-runs"+strings.TrimPrefix(s.namespace, "acc"), t.TempDir()
	must(t, os.Chmod(shared, 0o777)) // the steps run as another user
	kubectl("", "label", "node", node, "accelerator=a100", "--overwrite")
	kubectl("", "patch", "node", node, "--subresource=status", "--type=merge", "-p", `{"status":{"capacity":{"nvidia.com/gpu":"8"},"allocatable":{"nvidia.com/gpu":"8"}}}`)
	kubectl("", "-n", namespace, "create", "secret", "generic", "hub", "--from-literal=token=t0ken")
	t.Cleanup(func() { kubectl("", "delete", "persistentvolume", namespace, "--wait=false") }) // it goes with its claim
	kubectl(strings.NewReplacer("$NAME", namespace, "$FOLDER", shared).Replace(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: $NAME}
spec: {accessModes: [ReadWriteMany], capacity: {storage: 1Gi}, hostPath: {path: $FOLDER}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models, namespace: $NAME}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}, volumeName: $NAME, storageClassName: ""}
`), "create", "-f", "-")

	if out := c.run(t, "apply", "-auto-approve", "-no-color"); !strings.Contains(out, "rate 0.1\nrate 0.01\nrate 0.001") {
		t.Errorf("apply does not tell what was uploaded:\n%s", out)
	}
	c.run(t, "plan", "-detailed-exitcode", "-no-color")
}
