package clustertest

import (
	"os/exec"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// StopAPIServer kills the API server of a cluster that was started with [Another] and returns when the process has ended. The returned function starts it
// again and waits until it is ready.
func (c Cluster) StopAPIServer(t testing.TB) (start func()) {
	t.Helper()
	server := c.Program(t, "kube-apiserver")
	server.Kill()
	return func() {
		t.Helper()
		server.Recover()
		testenv.AwaitTrue(t, "the API server to be ready", func() bool {
			return exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", c.Kubeconfig, "get", "--raw", "/readyz").Run() == nil
		})
	}
}
