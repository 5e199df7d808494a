package clustertest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Cluster is a cluster that a test has started with [Another].
type Cluster struct {
	Client     *kube.Client // has the administrator's credentials
	Kubeconfig string       // path of the administrator's kubeconfig
}

// Another starts a second cluster and stops it when the test ends. That takes 10 s on two idle cores, so the tests that need two clusters share one.
// The cluster gets the first free number, starting at number.
func Another(t testing.TB, number string) Cluster {
	t.Helper()
	RequireOwn(t)
	built := Getenv(t, "BRANE_TEST_KUBE")
	root := repository(t)
	launcher, dir := filepath.Join(t.TempDir(), "launcher"), t.TempDir()
	run(t, root, "go", "-C", "test/cluster", "build", "-o", launcher, ".")
	t.Cleanup(func() { run(t, root, launcher, "clean", "-dir", dir) })
	run(t, root, launcher, "up", "-dir", dir, "-root", root, "-cache", filepath.Dir(built), "-number", number,
		"-kube", Getenv(t, "BRANE_TEST_KUBE_VERSION"), "-redis", Getenv(t, "BRANE_TEST_REDIS_SERVER"))
	kubeconfig := filepath.Join(dir, "kubeconfig")
	return Cluster{client(t, kubeconfig), kubeconfig}
}

// repository returns the root directory of the repository. Tests run in the directory of their package.
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
			t.Fatal("no parent directory contains test/cluster")
		}
	}
}

// run runs a program and fails the test with its output if it fails. It has no context, because a launcher that is killed leaves a partial cluster.
func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &output)
	}
}
