package clients_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// testRestart kills the API server of a cluster in the middle of an apply and starts it again: the apply continues and succeeds, and nothing is left to do.
// The second half of the namespaces cannot be created before the API server is gone: it depends on a command that reads from a named pipe of the test.
// Nothing is destroyed: the cluster itself ends with the test.
func testRestart(t *testing.T, c clustertest.Cluster) {
	t.Helper()
	const half = 15
	prefix := clustertest.Name("restart")
	cli := acctest.NewCLI(t)
	cli.WriteFile(t, "main.tf", acctest.RequiredProviders+fmt.Sprintf(`
provider "brane" {
  kubernetes = { config_path = %q }
}

resource "brane_namespace" "before" {
  count = %[2]d

  name  = "%[3]s-before-${count.index}"
  resource_quota = { pods = "5" }
}

resource "terraform_data" "pause" {
  provisioner "local-exec" {
    command = "cat pause"
  }
}

resource "brane_namespace" "after" {
  count      = %[2]d
  depends_on = [terraform_data.pause]

  name  = "%[3]s-after-${count.index}"
  resource_quota = { pods = "5" }
}
`, acctest.WriteDocumentedKubeconfig(t, c), half, prefix))
	pause := filepath.Join(cli.Directory, "pause")
	acctest.NoError(t, syscall.Mkfifo(pause, 0o600))
	cli.Run(t, "init", "-no-color")

	ctx := testenv.Context(t)
	events, err := c.Client.Watch(ctx, &corev1.NamespaceList{}, "", metav1.ListOptions{})
	acctest.NoError(t, err)
	apply, out := cli.Command(ctx, "apply", "-auto-approve", "-no-color")
	acctest.NoError(t, apply.Start())
	made := map[string]bool{}
	for event := range events.ResultChan() {
		if ns, ok := event.Object.(*corev1.Namespace); ok && strings.HasPrefix(ns.Name, prefix) {
			made[ns.Name] = true
		}
		if len(made) >= half/3 {
			break
		}
	}
	start := c.StopAPIServer(t)
	events.Stop()
	if len(made) < half/3 {
		t.Fatalf("%d namespaces were created before the watch ended:\n%s", len(made), out)
	}
	end, err := os.OpenFile(pause, os.O_WRONLY, 0) // waits for the command to read
	acctest.NoError(t, err)
	acctest.NoError(t, end.Close())
	start()
	if err := apply.Wait(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	if want := fmt.Sprintf("Resources: %d added, 0 changed, 0 destroyed", 2*half+1); !strings.Contains(out.String(), want) {
		t.Errorf("the apply does not say %q:\n%s", want, out)
	}
	cli.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 would mean that there is something to do
}
