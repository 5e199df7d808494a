package provider_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// testRestart kills the API server of a cluster in the middle of an apply and starts it again: the apply goes on and ends well, and nothing is left to do.
// Nothing is destroyed: the cluster itself ends with the test.
func testRestart(t *testing.T, c clustertest.Cluster) {
	t.Helper()
	const namespaces = 30
	prefix := clustertest.Name("restart")
	cli := newCLI(t)
	cli.write(t, "main.tf", required+fmt.Sprintf(`
provider "brane" {
  kubernetes = { config_path = %q }
}

resource "brane_namespace" "test" {
  count = %d

  name  = "%s-${count.index}"
  resource_quota = { pods = "5" }
}
`, ownRightsIn(t, c), namespaces, prefix))
	cli.run(t, "init", "-no-color")

	ctx, done := context.WithTimeout(t.Context(), 5*time.Minute)
	defer done()
	events, err := c.Client.Watch(ctx, &corev1.NamespaceList{}, "", metav1.ListOptions{})
	must(t, err)
	apply, out := cli.command(ctx, "apply", "-auto-approve", "-no-color")
	must(t, apply.Start())
	made := map[string]bool{}
	for event := range events.ResultChan() {
		if ns, ok := event.Object.(*corev1.Namespace); ok && strings.HasPrefix(ns.Name, prefix) {
			made[ns.Name] = true
		}
		if len(made) >= namespaces/3 {
			break
		}
	}
	start := c.StopAPIServer(t)
	events.Stop()
	if len(made) == 0 || len(made) == namespaces {
		t.Fatalf("%d of %d namespaces were made when the API server was stopped", len(made), namespaces)
	}
	start()
	if err := apply.Wait(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	if want := fmt.Sprintf("Resources: %d added, 0 changed, 0 destroyed", namespaces); !strings.Contains(out.String(), want) {
		t.Errorf("the apply does not say %q:\n%s", want, out)
	}
	cli.run(t, "plan", "-detailed-exitcode", "-no-color") // 2 would mean that there is something to do
}
