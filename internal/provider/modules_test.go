package provider_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Every module passes the tests that it contains, and can be applied with the values of the variables below.
func TestAccModules(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"compute-cluster": `redis_cidrs = ["$BRIDGE/32"]
  brane = { name = "$NAMESPACE", registry = "$REGISTRY", callback_to = "http://$BRIDGE:50052", callback_cidrs = ["$BRIDGE/32"] }`,
	}
	modules, err := os.ReadDir(filepath.Join(repository, "examples/modules"))
	acctest.NoError(t, err)
	for _, module := range modules {
		t.Run(module.Name(), func(t *testing.T) {
			t.Parallel()
			s, c := acctest.NewEnv(t), acctest.NewCLI(t)
			copyModules(t, c.Directory)
			source := path.Join("examples/modules", module.Name())
			tests := *c
			tests.Directory = filepath.Join(c.Directory, source)
			tests.Run(t, "init", "-no-color")
			if out := tests.Run(t, "test", "-no-color"); !strings.Contains(out, "0 failed") || strings.Contains(out, "0 passed") {
				t.Errorf("the tests of the module have not run:\n%s", out)
			}
			c.WriteFile(t, "main.tf", acctest.RequiredProviders+s.Config(t, fmt.Sprintf("module %q {\n  source = \"./%s\"\n  namespace = \"$NAMESPACE\"\n  %s\n}\n",
				module.Name(), source, strings.ReplaceAll(values[module.Name()], "$BRIDGE", s.Getenv(t, "BRANE_BRIDGE_IP")))))
			c.Run(t, "init", "-no-color")
			c.DestroyAtEnd(t)
			c.Run(t, "apply", "-auto-approve", "-no-color")
			c.Run(t, "plan", "-detailed-exitcode", "-no-color")
		})
	}
}
