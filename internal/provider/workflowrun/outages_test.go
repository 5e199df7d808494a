package workflowrun_test

import (
	"path/filepath"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// outages are faults of the infrastructure that a run survives without an error.
var outages = map[string]runFault{
	"the API server is killed, and is away when a step ends": {
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.awaitSlowStep(t)
			s.own.server.Kill()
			s.server.letGo()
			s.awaitCommit(t, "slow")
			s.own.server.Recover()
		},
		status: "succeeded",
		ran:    once,
	},
	"Redis is killed, and is away when a step ends": {
		slow: "$WAIT; $OVER",
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.awaitSlowStep(t)
			s.own.redis.Kill()
			s.server.letGo()
			awaitClosed(t, "the end of the command", s.server.over)
			s.own.redis.Recover()
		},
		status: "succeeded",
		ran:    once,
	},
	"Redis does not answer when a step ends": {
		slow: "$WAIT; $OVER",
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.awaitSlowStep(t)
			s.own.redis.Pause()
			s.server.letGo()
			awaitClosed(t, "the end of the command", s.server.over)
			s.own.redis.Recover()
		},
		status: "succeeded",
		ran:    once,
	},
	"the kubelet is killed, and is away when a step ends and the next one starts": {
		happens: func(t *testing.T, s *survival, _ *applying) {
			s.awaitSlowStep(t)
			start := s.own.StopKubelet(t)
			s.server.letGo()
			s.hasJob(t, "last")
			start()
		},
		status: "succeeded",
		ran:    once,
	},
}

// TestAccRunOutages is like [TestAccRunFaults], with a dedicated cluster whose programs can be killed. The rows share them, so they run sequentially.
func TestAccRunOutages(t *testing.T) {
	t.Parallel()
	own := newOwnCluster(t)
	for name, f := range outages {
		t.Run(name, func(t *testing.T) { own.testFault(t, f) })
	}
}

// ownCluster is a cluster that a test has started.
type ownCluster struct {
	clustertest.Cluster
	server, redis *clustertest.Program
}

func newOwnCluster(t *testing.T) *ownCluster {
	t.Helper()
	c := clustertest.Another(t, "40")
	return &ownCluster{c, c.Program(t, "kube-apiserver"), c.Program(t, "redis-server", "redis-server", filepath.Join(filepath.Dir(c.Kubeconfig), "conf/redis.conf"))}
}

// testFault tests one row. No other test uses the cluster's Redis, so the number of its keys must not change.
func (c *ownCluster) testFault(t *testing.T, f runFault) {
	t.Helper()
	s := newSurvivalIn(t, c, "fault", f.configBody())
	before, err := s.redis.DBSize(t.Context()).Result()
	acctest.NoError(t, err)
	f.runTest(t, s)
	acctest.NoError(t, s.redis.Del(t.Context(), s.counts).Err())
	if after, err := s.redis.DBSize(t.Context()).Result(); err != nil || after != before {
		t.Errorf("Redis has %d keys and had %d: %v", after, before, err)
	}
}

// hasJob waits for the Job of a step.
func (s *survival) hasJob(t *testing.T, step string) {
	t.Helper()
	awaitCondition(t, "the Job of step "+step, func() bool {
		var jobs batchv1.JobList
		acctest.NoError(t, s.Client.List(t.Context(), &jobs, s.Namespace, workflow.StepLabel+"="+step))
		return len(jobs.Items) > 0
	})
}
