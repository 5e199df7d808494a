//go:build cli

package provider_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// newNewestCLI returns the CLI, and skips the test unless it has queries and actions.
func newNewestCLI(t *testing.T) *acctest.CLI {
	t.Helper()
	c := acctest.NewCLI(t)
	var found struct {
		Version string `json:"terraform_version"`
	}
	acctest.NoError(t, json.Unmarshal([]byte(c.Run(t, "version", "-json")), &found))
	testenv.RequireNewestCLI(t, c.Program, found.Version)
	return c
}

// Terraform finds what an apply has created, and the configuration that it generates for the import of that changes nothing.
func TestAccQuery(t *testing.T) {
	t.Parallel()
	c, s := newNewestCLI(t), acctest.NewEnv(t)
	c.WriteFile(t, "main.tf", acctest.RequiredProviders+s.Config(t, strings.Replace(acctest.InfrastructureConfig,
		`name = "$NAMESPACE"`, "name = \"$NAMESPACE\"\n  labels = { \"example.org/query\" = \"$NAMESPACE\" }", 1)+`
resource "brane_workflow_run" "test" {
  name           = "found"
  infrastructure = brane_infrastructure.test.name
  inputs         = { "text" = { content = "hello\n" } }
  steps          = { hello = { image = "$TOOLS", command = ["sh", "-c", "cat /data/text > /data/hello"] } }
  outputs        = { hello = { path = "hello" } }
}

output "id" {
  value = brane_workflow_run.test.id
}
`))
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Run(t, "apply", "-auto-approve", "-no-color")

	finder := *c
	finder.Directory = t.TempDir()
	finder.WriteFile(t, "main.tf", acctest.RequiredProviders+s.ProviderBlock())
	finder.WriteFile(t, "all.tfquery.hcl", s.Config(t, `
list "brane_namespace" "all" {
  provider = brane

  config {
    selector = "example.org/query=$NAMESPACE"
  }
}

list "brane_infrastructure" "all" {
  provider = brane
}

list "brane_workflow_run" "all" {
  provider = brane

  config {
    namespace = "$NAMESPACE"
  }
}
`)[len(s.ProviderBlock()):])
	finder.Run(t, "init", "-no-color")
	found := finder.Run(t, "query", "-no-color", "-generate-config-out=found.tf")
	for _, want := range []string{"brane_namespace.all", "brane_infrastructure.all", "brane_workflow_run.all", s.Namespace, c.Run(t, "output", "-raw", "id")} {
		if !strings.Contains(found, want) {
			t.Errorf("what was found does not contain %s:\n%s", want, found)
		}
	}
	acctest.NoError(t, os.Remove(filepath.Join(finder.Directory, "all.tfquery.hcl")))
	planned := finder.Run(t, "plan", "-no-color")
	if !strings.Contains(planned, "Plan: 3 to import, 0 to add, 0 to change, 0 to destroy.") {
		generated, err := os.ReadFile(filepath.Join(finder.Directory, "found.tf"))
		acctest.NoError(t, err)
		t.Errorf("the plan is:\n%s\nof the configuration:\n%s", planned, generated)
	}
}

// Terraform invokes the actions.
func TestAccInvokedActions(t *testing.T) {
	t.Parallel()
	c, s := newNewestCLI(t), acctest.NewEnv(t)
	c.WriteFile(t, "main.tf", acctest.RequiredProviders+s.Config(t, acctest.InfrastructureConfig+`
action "brane_rotate_credential" "test" {
  config {
    infrastructure = brane_infrastructure.test.name
  }
}

action "brane_run_workflow" "test" {
  config {
    name           = "invoked"
    infrastructure = brane_infrastructure.test.name
    steps          = { hello = { image = "$TOOLS", command = ["sh", "-c", "echo hello > /data/hello"] } }
    outputs        = { hello = { path = "hello" } }
    report_path    = "report.html"
  }
}
`))
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Run(t, "apply", "-auto-approve", "-no-color")
	registered := func() string {
		t.Helper()
		registration, err := infra.Lookup(t.Context(), infra.NewDirectoryStore(s.Directory, infra.V06), s.Namespace)
		acctest.NoError(t, err)
		return string(registration.Kubeconfig)
	}
	before := registered()
	c.Run(t, "apply", "-auto-approve", "-no-color", "-invoke=action.brane_rotate_credential.test")
	if registered() == before {
		t.Error("the registered credential is the same")
	}
	c.Run(t, "apply", "-auto-approve", "-no-color", "-invoke=action.brane_run_workflow.test")
	if _, err := os.Stat(filepath.Join(c.Directory, "report.html")); err != nil {
		t.Error(err)
	}
	if planned := c.Run(t, "plan", "-no-color"); !strings.Contains(planned, "No changes.") {
		t.Errorf("the plan after both actions is:\n%s", planned)
	}
}
