package infrastructure_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Two concurrent Terraform processes write twenty infrastructures each to the same store: none is lost when they are created or
// destroyed, and other content is preserved.
func TestAccInfrastructure_manyWriters(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		i.submitters(t, nil)
		i.put(t, "infra.yml", othersInfra)
		i.put(t, "secrets.yml", othersSecrets)
		both := []*acctest.CLI{acctest.NewCLI(t), acctest.NewCLI(t)}
		var all []string
		for n, c := range both {
			c.WriteFile(t, "main.tf", acctest.RequiredProviders+i.hcl(t, fmt.Sprintf(`
resource "brane_infrastructure" "test" {
  count       = 20
  name        = "compute-%d-${count.index}"
  namespace   = "$NAMESPACE"
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = "brane" }
}
`, n)))
			c.Run(t, "init", "-no-color")
			for index := range 20 {
				all = append(all, fmt.Sprintf("compute-%d-%d", n, index))
			}
		}
		atOnce(t, both, "apply", "-auto-approve", "-no-color", "-parallelism=20")
		files, err := i.Read(t.Context())
		acctest.NoError(t, err)
		for what, names := range map[string][]string{"infra.yml": files.Infra.Names(), "secrets.yml": files.Secrets.Names()} {
			names = names[1:] // the others' come first
			slices.Sort(names)
			if want := slices.Sorted(slices.Values(all)); !slices.Equal(names, want) {
				t.Errorf("%s has %d entries: %q", what, len(names), names)
			}
		}
		for _, name := range all {
			if kubeconfig, err := credentials.Parse(i.kubeconfig(t, name)); err != nil || kubeconfig.Name != name {
				t.Errorf("the kubeconfig of %s: %v, of %s", name, err, kubeconfig.Name)
			}
		}
		atOnce(t, both, "plan", "-detailed-exitcode", "-no-color", "-parallelism=20")
		atOnce(t, both, "destroy", "-auto-approve", "-no-color", "-parallelism=20")
		acctest.NoError(t, i.holds(t, othersInfra, othersSecrets)(nil))
	})
}

// atOnce calls several CLIs concurrently; all must succeed.
func atOnce(t *testing.T, all []*acctest.CLI, args ...string) {
	t.Helper()
	type call struct {
		cmd *exec.Cmd
		out *bytes.Buffer
	}
	var calls []call
	for _, c := range all {
		cmd, out := c.Command(context.WithoutCancel(t.Context()), args...)
		acctest.NoError(t, cmd.Start())
		calls = append(calls, call{cmd, out})
	}
	for _, c := range calls {
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, c.out)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
