package clustertest

import (
	"os"
	"path/filepath"
	"testing"
)

// StopKubelet kills the kubelet of a cluster that the test has started with [Another], as a crash would. What runs in its pods runs on. The function that it
// returns lets the node start it again.
func (c Cluster) StopKubelet(t testing.TB) (start func()) {
	t.Helper()
	held := filepath.Join(filepath.Dir(c.Kubeconfig), "run/kubelet.held")
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Program(t, "conf/kubelet.yaml").Kill()
	await(t, "the node to notice that its kubelet has ended", func() bool {
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
