package workflow

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// A run goes on when the API server or Redis dies under it and comes back. It has a cluster of its own for that.
func TestOutage(t *testing.T) {
	t.Parallel()
	cluster := clustertest.Another(t, "40")
	server := cluster.Program(t, "kube-apiserver")
	redis := cluster.Program(t, "redis-server", "redis-server", filepath.Join(filepath.Dir(cluster.Kubeconfig), "conf/redis.conf"))
	for _, outage := range []struct {
		name    string
		program *clustertest.Program
		happens func(*clustertest.Program)
	}{
		{"the API server is killed, and away when a step ends", server, (*clustertest.Program).Kill},
		{"Redis is killed, and away when a step ends", redis, (*clustertest.Program).Kill},
		{"Redis does not answer for a while", redis, (*clustertest.Program).Pause},
	} {
		t.Run(outage.name, func(t *testing.T) { // one after another: they share the programs
			l := labOn(t, cluster)
			run := l.run(l.chain(3, 2)...)
			run.leaseTime = 0
			ended := execute(t.Context(), run)
			await(t, "the step", l.counter.arrived)
			outage.happens(outage.program)
			l.counter.release()
			time.Sleep(10 * time.Second) // the outage itself: nothing is waited for
			outage.program.Recover()
			await(t, "the run", ended).succeeds(t)
			l.ranOnce(run)
		})
	}
}

// labOn is a lab on another cluster.
func labOn(t *testing.T, cluster clustertest.Cluster) *lab {
	t.Helper()
	store, err := files.Dial(cluster.Variable(t, "BRANE_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	variable := func(name string) string { return cluster.Variable(t, name) }
	return &lab{t, cluster.Client, "default", store, newCounter(t, variable("BRANE_BRIDGE_IP")), variable}
}
