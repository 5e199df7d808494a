package provider_test

import (
	"path/filepath"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// outages are faults of what a run builds on, which the user need not hear of.
var outages = map[string]runFault{
	"the API server is killed, and away when a step ends": {
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.atWork(t)
			s.own.server.Kill()
			s.server.letGo()
			s.committed(t, "slow")
			s.own.server.Recover()
		},
		status: "succeeded",
		ran:    once,
	},
	"Redis is killed, and away when a step ends": {
		slow: "$WAIT; $OVER",
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.atWork(t)
			s.own.redis.Kill()
			s.server.letGo()
			came(t, "the end of the program", s.server.over)
			s.own.redis.Recover()
		},
		status: "succeeded",
		ran:    once,
	},
	"Redis does not answer when a step ends": {
		slow: "$WAIT; $OVER",
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.atWork(t)
			s.own.redis.Pause()
			s.server.letGo()
			came(t, "the end of the program", s.server.over)
			s.own.redis.Recover()
		},
		status: "succeeded",
		ran:    once,
	},
	"the kubelet is killed, and away when a step ends and the next one begins": {
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.atWork(t)
			start := s.own.StopKubelet(t)
			s.server.letGo()
			s.hasJob(t, "last")
			start()
		},
		status: "succeeded",
		ran:    once,
	},
}

// TestAccRunOutages: the same as [TestAccRunFaults], on a cluster whose parts can be taken away. The rows share them, so they come one after another.
func TestAccRunOutages(t *testing.T) {
	t.Parallel()
	own := newOwnCluster(t)
	for name, f := range outages {
		t.Run(name, func(t *testing.T) { own.test(t, f) })
	}
}

// ownCluster is a cluster of the test's own.
type ownCluster struct {
	clustertest.Cluster
	server, redis *clustertest.Program
}

func newOwnCluster(t *testing.T) *ownCluster {
	t.Helper()
	c := clustertest.Another(t, "40")
	return &ownCluster{c, c.Program(t, "kube-apiserver"), c.Program(t, "redis-server", "redis-server", filepath.Join(filepath.Dir(c.Kubeconfig), "conf/redis.conf"))}
}

// test tests one row. Nobody else uses the cluster's Redis: it holds what it did before.
func (c *ownCluster) test(t *testing.T, f runFault) {
	t.Helper()
	s := newSurvivalIn(t, c, "fault", f.body())
	before, err := s.redis.DBSize(t.Context()).Result()
	must(t, err)
	f.test(t, s)
	must(t, s.redis.Del(t.Context(), s.counts).Err())
	if after, err := s.redis.DBSize(t.Context()).Result(); err != nil || after != before {
		t.Errorf("Redis has %d keys and had %d: %v", after, before, err)
	}
}

// hasJob waits until there is a Job of a step.
func (s *survival) hasJob(t *testing.T, step string) {
	t.Helper()
	holds(t, "the Job of step "+step, func() bool {
		var jobs batchv1.JobList
		must(t, s.client.List(t.Context(), &jobs, s.namespace, workflow.StepLabel+"="+step))
		return len(jobs.Items) > 0
	})
}
