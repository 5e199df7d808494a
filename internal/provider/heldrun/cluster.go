package heldrun

import (
	"path/filepath"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// Cluster is a cluster that a test has started, and whose programs it can kill.
type Cluster struct {
	clustertest.Cluster
	APIServer, Redis *clustertest.Program
}

// NewCluster starts a cluster, and stops it when the test ends.
func NewCluster(t *testing.T) *Cluster {
	t.Helper()
	c := clustertest.Another(t, "40")
	server := clustertest.Getenv(t, "BRANE_TEST_REDIS_SERVER")
	return &Cluster{c, c.Program(t, "kube-apiserver"), c.Program(t, server, server, filepath.Join(filepath.Dir(c.Kubeconfig), "conf/redis.conf"))}
}
