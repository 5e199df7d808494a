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
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Every configuration in examples/ works. Only the names are changed, because tests run concurrently and an aborted test may have left objects.
func TestAccExamples(t *testing.T) {
	t.Parallel()
	const root = "../../examples"
	applied := map[string]string{
		"quickstart":                         "words = 100801",
		"workflow":                           "The text has 6 words.",
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
			s, c := acctest.NewEnv(t), acctest.NewCLI(t)
			copyExample(t, s, filepath.Join(root, name), c.Directory)
			if name != "quickstart" && name != "workflow" { // they have a provider block
				c.WriteFile(t, "provider.tf", acctest.RequiredProviders+s.ProviderBlock())
			}
			c.Run(t, "init", "-no-color")
			c.DestroyAtEnd(t)
			if out := c.Run(t, "apply", "-auto-approve", "-no-color"); !strings.Contains(out, want) {
				t.Errorf("apply does not print %q:\n%s", want, out)
			}
			c.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 means that there are changes
		})
	}
	validated := []string{ // these refer to clusters and infrastructures that do not exist
		"provider", "clusters", "data-sources/brane_file", "data-sources/brane_infrastructure", "data-sources/brane_namespace", "data-sources/brane_workflow_run", "ephemeral-resources/brane_kubeconfig",
		"functions/backend_yml", "functions/infra_yml", "functions/kubeconfig", "functions/secrets_yml",
	}
	for _, name := range validated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := acctest.NewEnv(t), acctest.NewCLI(t)
			copyExample(t, s, filepath.Join(root, name), c.Directory)
			if name != "provider" && filepath.Dir(name) != "functions" { // those contain required_providers
				c.WriteFile(t, "required.tf", acctest.RequiredProviders)
			}
			c.Run(t, "init", "-no-color")
			c.Run(t, "validate", "-no-color")
		})
	}
	t.Run("no other", func(t *testing.T) {
		t.Parallel()
		acctest.NoError(t, filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
			directory, _ := filepath.Rel(root, filepath.Dir(file))
			if group, _, _ := strings.Cut(filepath.ToSlash(directory), "/"); group == "guides" || group == "modules" { // see TestAccGuides and TestAccModules
				return err
			}
			_, isApplied := applied[filepath.ToSlash(directory)]
			isAction := strings.HasPrefix(filepath.ToSlash(directory), "actions/") // needs Terraform 1.14
			if filepath.Ext(file) == ".tf" && !isApplied && !isAction && !slices.Contains(validated, filepath.ToSlash(directory)) {
				t.Errorf("example %s is not tested", directory)
			}
			return err
		}))
	})
}

var resourceName = regexp.MustCompile(`(?m)^(\s+name\s+= ")([a-z-]+)(")`)

// copyExample copies the files of an example, with the name of the setting appended to all names of resources.
func copyExample(t *testing.T, s acctest.Env, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	acctest.NoError(t, err)
	for _, entry := range entries {
		if entry.Name() == "import-by-identity.tf" { // needs Terraform 1.12, and would import what the example creates
			continue
		}
		if strings.HasPrefix(entry.Name(), "terraform.tfstate") || strings.HasPrefix(entry.Name(), ".") {
			continue // files of an apply in the repository
		}
		if entry.IsDir() { // for files that the apply writes
			acctest.NoError(t, os.Mkdir(filepath.Join(to, entry.Name()), 0o755))
			continue
		}
		if !strings.HasPrefix(entry.Name(), "resource_") { // additional examples on the same page, which other tests apply
			copyExampleFile(t, s, filepath.Join(from, entry.Name()), to)
		}
	}
	clustertest.Getenv(t, "TF_VAR_tools_image") // the default of the examples would be pulled from the internet
}

// copyExampleFile copies one file of an example.
func copyExampleFile(t *testing.T, s acctest.Env, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	acctest.NoError(t, err)
	if filepath.Ext(from) == ".tf" {
		text = resourceName.ReplaceAll(text, []byte("${1}${2}"+strings.TrimPrefix(s.Namespace, "acc")+"${3}"))
	}
	acctest.NoError(t, os.WriteFile(filepath.Join(to, filepath.Base(from)), text, 0o600))
}

// The additional examples of runs, on a node with what they need: a label, devices, a claim and a Secret. There is no CSI driver: its volume is replaced by an
// empty one.
func TestAccExampleRuns(t *testing.T) {
	t.Parallel()
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	copyExamples(t, s, "brane_workflow_run", c, "resource.tf", "resource_fan_out.tf", "resource_scheduling.tf", "resource_volumes.tf", "resource_conditions.tf", "resource_secrets.tf", "resource_infrastructure.tf", "resource_policies.tf")
	replaceIn(t, filepath.Join(c.Directory, "resource_volumes.tf"), `read_only = true, csi = \{.*"juicefs" \}`, "empty_dir = {}")
	c.WriteFile(t, "provider.tf", acctest.RequiredProviders+s.ProviderBlock()+`
output "models" { value = brane_workflow_run.sweep.outputs.models.content }
output "cleaned" { value = brane_workflow_run.conditions.outputs.cleaned.content }
`)
	c.Env = append(c.Env, "TF_VAR_api_token=t0ken")
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Run(t, "apply", "-auto-approve", "-no-color", "-target=brane_namespace.runs")

	kubectl := func(stdin string, args ...string) string { return s.Kubectl(t, stdin, args...) }
	node, namespace, shared := kubectl("", "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"), "brane-runs"+strings.TrimPrefix(s.Namespace, "acc"), t.TempDir()
	acctest.NoError(t, os.Chmod(shared, 0o777)) // the step runs as another user
	kubectl("", "label", "node", node, "accelerator=a100", "--overwrite")
	kubectl("", "patch", "node", node, "--subresource=status", "--type=merge", "-p", `{"status":{"capacity":{"nvidia.com/gpu":"8"},"allocatable":{"nvidia.com/gpu":"8"}}}`)
	kubectl("", "-n", namespace, "create", "secret", "generic", "hub", "--from-literal=token=t0ken")
	t.Cleanup(func() { kubectl("", "delete", "persistentvolume", namespace, "--wait=false") }) // it is deleted after its claim
	kubectl(strings.NewReplacer("$NAME", namespace, "$DIRECTORY", shared).Replace(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: $NAME}
spec: {accessModes: [ReadWriteMany], capacity: {storage: 1Gi}, hostPath: {path: $DIRECTORY}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models, namespace: $NAME}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}, volumeName: $NAME, storageClassName: ""}
`), "create", "-f", "-")

	out := c.Run(t, "apply", "-auto-approve", "-no-color")
	for _, want := range []string{"rate 0.1\nrate 0.01\nrate 0.001", "done"} {
		if !strings.Contains(out, want) {
			t.Errorf("apply does not print %q:\n%s", want, out)
		}
	}
	c.Run(t, "plan", "-detailed-exitcode", "-no-color")
}

// The additional examples of namespaces, one of which adopts a namespace.
func TestAccExampleNamespaces(t *testing.T) {
	t.Parallel()
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	copyExamples(t, s, "brane_namespace", c, "resource_limits.tf", "resource_isolated.tf", "resource_registry.tf", "resource_adopt.tf")
	c.WriteFile(t, "provider.tf", acctest.RequiredProviders+s.ProviderBlock())
	c.Env = append(c.Env, "TF_VAR_registry_password=pass-w0rd")
	shared := "shared" + strings.TrimPrefix(s.Namespace, "acc")
	s.Kubectl(t, "", "create", "namespace", shared)
	t.Cleanup(func() { s.Kubectl(t, "", "delete", "namespace", shared, "--wait=false") })
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Run(t, "apply", "-auto-approve", "-no-color")
	c.Run(t, "plan", "-detailed-exitcode", "-no-color")
	replaceIn(t, filepath.Join(c.Directory, "resource_limits.tf"), "deletion_protection = true", "deletion_protection = false")
	c.Run(t, "apply", "-auto-approve", "-no-color") // before the destroy
}

// copyExamples copies these files of a resource's examples.
func copyExamples(t *testing.T, s acctest.Env, resource string, c *acctest.CLI, names ...string) {
	t.Helper()
	directory := filepath.Join("../../examples/resources", resource)
	all, err := filepath.Glob(filepath.Join(directory, "resource*.tf"))
	acctest.NoError(t, err)
	for _, file := range all {
		if name := filepath.Base(file); name != "resource.tf" && !slices.Contains(names, name) {
			t.Errorf("example %s is not tested", name)
		}
	}
	for _, name := range names {
		copyExampleFile(t, s, filepath.Join(directory, name), c.Directory)
	}
}

// replaceIn replaces text in a file that must contain it.
func replaceIn(t *testing.T, file, pattern, by string) {
	t.Helper()
	text, err := os.ReadFile(file)
	acctest.NoError(t, err)
	expression := regexp.MustCompile(pattern)
	if !expression.Match(text) {
		t.Fatalf("%s does not contain %s:\n%s", file, pattern, text)
	}
	acctest.NoError(t, os.WriteFile(file, expression.ReplaceAll(text, []byte(by)), 0o600))
}
