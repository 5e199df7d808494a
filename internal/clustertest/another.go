package clustertest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Cluster is a cluster that a test has started for itself.
type Cluster struct {
	Client     *kube.Client // its administrator
	Kubeconfig string       // the administrator's file
}

// Another starts a second cluster beside the test cluster and stops it when the test ends. That takes 10 s on two idle cores, so the tests that need two
// share one. It has a number of its own: the first free one from number on.
func Another(t testing.TB, number string) Cluster {
	t.Helper()
	built := Getenv(t, "BRANE_TEST_KUBE")
	root := repository(t)
	launcher, dir := filepath.Join(t.TempDir(), "launcher"), t.TempDir()
	run(t, root, "go", "-C", "test/cluster", "build", "-o", launcher, ".")
	t.Cleanup(func() { run(t, root, launcher, "clean", "-dir", dir) })
	run(t, root, launcher, "up", "-dir", dir, "-root", root, "-cache", filepath.Dir(built), "-number", number)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	return Cluster{client(t, kubeconfig), kubeconfig}
}

// repository is the top of the repository: tests run in the folder of their package.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "test/cluster/go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no folder above this one holds test/cluster")
		}
	}
}

// run runs a program to its end; what it says is shown where it fails. It has no context: a launcher that is killed leaves half a cluster.
func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &said)
	}
}
