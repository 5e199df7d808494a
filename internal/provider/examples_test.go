package provider_test

import (
	"os"
	"path"
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
		"functions/backend_yml":              "cuda_gpu",
		"functions/infra_yml":                "198.51.100.10:50050",
		"functions/kubeconfig":               "kubeconfig = <sensitive>",
		"functions/secrets_yml":              "secrets_yml = <sensitive>",
	}
	for name, want := range applied {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := acctest.NewEnv(t), acctest.NewCLI(t)
			copyExample(t, s, filepath.Join(root, name), c.Directory)
			c.Env = append(c.Env, "TF_VAR_ca=", "TF_VAR_token=t0ken")
			if name != "quickstart" && name != "workflow" && filepath.Dir(name) != "functions" { // they have required_providers
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
	validated := []string{"provider", "clusters"} // these refer to clusters that do not exist
	for _, name := range validated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := acctest.NewEnv(t), acctest.NewCLI(t)
			copyExample(t, s, filepath.Join(root, name), c.Directory)
			if name != "provider" { // it contains required_providers
				c.WriteFile(t, "required.tf", acctest.RequiredProviders)
			}
			c.Run(t, "init", "-no-color")
			c.Run(t, "validate", "-no-color")
		})
	}
	t.Run("no other", func(t *testing.T) {
		t.Parallel()
		for _, file := range acctest.RepositoryFiles(t, "examples") {
			directory := strings.TrimPrefix(path.Dir(file), "examples/")
			if group, _, _ := strings.Cut(directory, "/"); group == "guides" || group == "modules" { // see TestAccGuides and TestAccModules
				continue
			}
			_, isApplied := applied[directory]
			isApplied = isApplied || slices.Contains(readers, directory)
			isAction := strings.HasPrefix(directory, "actions/") // see TestExampleBlocks
			if path.Ext(file) == ".tf" && !isApplied && !isAction && !slices.Contains(validated, directory) {
				t.Errorf("example %s is not tested", directory)
			}
		}
	})
}

// readers are the examples that read what other configurations manage. TestAccExampleReaders applies them.
var readers = []string{"data-sources/brane_file", "data-sources/brane_infrastructure", "data-sources/brane_namespace", "data-sources/brane_workflow_run", "ephemeral-resources/brane_kubeconfig"}

// The examples that read a namespace, a registration or a run work if those exist: another configuration creates them before.
func TestAccExampleReaders(t *testing.T) {
	t.Parallel()
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	suffix := strings.TrimPrefix(s.Namespace, "acc")
	c.WriteFile(t, "main.tf", acctest.RequiredProviders+s.Config(t, strings.ReplaceAll(`
resource "brane_namespace" "compute" { name = "brane$SUFFIX" }
resource "brane_infrastructure" "compute" {
  name        = "compute$SUFFIX"
  namespace   = brane_namespace.compute.name
  registry    = "$REGISTRY"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.compute.service_account.name }
}
resource "brane_workflow_run" "training" {
  name      = "training$SUFFIX"
  namespace = brane_namespace.compute.name
  steps     = { train = { image = "$TOOLS", command = ["sh", "-c", "echo 0.9 > /data/accuracy"] } }
  outputs   = { accuracy = { path = "accuracy" } }
}
`, "$SUFFIX", suffix)))
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Run(t, "apply", "-auto-approve", "-no-color")
	for _, name := range readers {
		t.Run(name, func(t *testing.T) {
			reader, own := acctest.NewCLI(t), s
			copyExample(t, s, filepath.Join("../../examples", name), reader.Directory)
			switch name {
			case "data-sources/brane_workflow_run":
				replaceIn(t, filepath.Join(reader.Directory, "data-source.tf"), `namespace = "brane"`, `namespace = "brane`+suffix+`"`)
			case "data-sources/brane_file":
				file := filepath.Join(reader.Directory, "data-source.tf")
				replaceIn(t, file, `infrastructure = "compute"`, `infrastructure = "compute`+suffix+`"`)
				replaceIn(t, file, `name( +)= "training`, `name${1}= "large`)
				replaceIn(t, file, `busybox:1.37`, s.Getenv(t, "BRANE_TOOLS_IMAGE"))
			case "data-sources/brane_namespace": // it registers the namespace as well
				own.Directory = t.TempDir()
			case "ephemeral-resources/brane_kubeconfig": // it creates the namespace
				replaceIn(t, filepath.Join(reader.Directory, "ephemeral-resource.tf"), `name = "brane`, `name = "tokens`)
			}
			reader.WriteFile(t, "provider.tf", acctest.RequiredProviders+own.ProviderBlock())
			reader.Run(t, "init", "-no-color")
			reader.DestroyAtEnd(t)
			reader.Run(t, "apply", "-auto-approve", "-no-color")
			reader.Run(t, "plan", "-detailed-exitcode", "-no-color")
		})
	}
}

// TestExampleBlocks checks the names of the attributes in the examples of actions and list resources, which only Terraform 1.14 can apply.
func TestExampleBlocks(t *testing.T) {
	schemas := acctest.NewProtocol(t).Schemas
	found := 0
	for text, file := range readExamples(t) {
		if !strings.HasPrefix(file, "examples/actions/") && !strings.HasPrefix(file, "examples/list-resources/") {
			continue
		}
		for _, b := range parseConfiguration(t, file, map[string][]byte{file: []byte(text)}).blocks("action", "list") {
			found++
			schema := schemas.ListResourceSchemas[b.Labels[0]]
			if action := schemas.ActionSchemas[b.Labels[0]]; b.Type == "action" && action != nil {
				schema = action.Schema
			}
			if schema == nil {
				t.Errorf("%s: there is no %s %s", file, b.Type, b.Labels[0])
				continue
			}
			for _, config := range b.Body.Blocks {
				if unknown := unknownNames(config.Body.Attributes, schema.Block.Attributes); len(unknown) > 0 {
					t.Errorf("%s: %s %s has no %s", file, b.Type, b.Labels[0], strings.Join(unknown, ", "))
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("found only %d actions and lists", found)
	}
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
		if acctest.IsLeftByCLI(entry.Name()) {
			continue
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

// The additional examples of runs, with the claim that they need. There is no CSI driver: its volume is replaced by an empty one.
func TestAccExampleRuns(t *testing.T) {
	t.Parallel()
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	copyExamples(t, s, "brane_workflow_run", c, "resource.tf", "resource_fan_out.tf", "resource_volumes.tf", "resource_infrastructure.tf", "resource_policies.tf")
	replaceIn(t, filepath.Join(c.Directory, "resource_volumes.tf"), `read_only = true, csi = \{.*"juicefs" \}`, "empty_dir = {}")
	c.WriteFile(t, "provider.tf", acctest.RequiredProviders+s.ProviderBlock()+`
output "models" { value = brane_workflow_run.sweep.outputs.models.content }
`)
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Run(t, "apply", "-auto-approve", "-no-color", "-target=brane_namespace.runs")

	kubectl := func(stdin string, args ...string) string { return s.Kubectl(t, stdin, args...) }
	namespace, shared := "brane-runs"+strings.TrimPrefix(s.Namespace, "acc"), t.TempDir()
	acctest.NoError(t, os.Chmod(shared, 0o777))                                                // the step runs as another user
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
	if want := "rate 0.1\nrate 0.01\nrate 0.001"; !strings.Contains(out, want) {
		t.Errorf("apply does not print %q:\n%s", want, out)
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
