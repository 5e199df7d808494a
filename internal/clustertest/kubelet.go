package clustertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// StopKubelet kills the kubelet of a cluster that was started with [Another]. Its containers keep running. The returned function lets the node start the
// kubelet again.
func (c Cluster) StopKubelet(t testing.TB) (start func()) {
	t.Helper()
	held := filepath.Join(filepath.Dir(c.Kubeconfig), "run/kubelet.held")
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Program(t, "conf/kubelet.yaml").Kill()
	testenv.AwaitTrue(t, "the node to detect that its kubelet has ended", func() bool {
		text, err := os.ReadFile(held)
		return err == nil && len(text) > 0
	})
	return func() {
		t.Helper()
		if err := os.Remove(held); err != nil {
			t.Fatal(err)
		}
	}
}
