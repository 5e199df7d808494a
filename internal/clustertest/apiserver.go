package clustertest

import (
	"os/exec"
	"testing"
)

// StopAPIServer kills the API server of a cluster that the test has started with [Another], as a crash would, and returns once it is gone. The function that
// it returns starts it again, and returns once it answers.
func (c Cluster) StopAPIServer(t testing.TB) (start func()) {
	t.Helper()
	server := c.Program(t, "kube-apiserver")
	server.Kill()
	return func() {
		t.Helper()
		server.Recover()
		await(t, "the API server to answer", func() bool {
			return exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", c.Kubeconfig, "get", "--raw", "/readyz").Run() == nil
		})
	}
}
