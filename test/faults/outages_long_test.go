//go:build long

package faults_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// outages are faults of the infrastructure that a run survives without an error.
var outages = map[string]runFault{
	"the API server is killed, and is away when a step ends": {
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			s.Own.APIServer.Kill()
			s.Server.Release()
			s.AwaitCommit(t, "slow")
			s.Own.APIServer.Recover()
		},
		status: "succeeded",
		ran:    once,
	},
	"Redis is killed, and is away when a step ends": losesRedis((*clustertest.Program).Kill),
	"Redis does not answer when a step ends":        losesRedis((*clustertest.Program).Pause),
	"the kubelet is killed, and is away when a step ends and the next one starts": {
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			start := s.Own.StopKubelet(t)
			s.Server.Release()
			awaitJob(t, s, "last")
			start()
		},
		status: "succeeded",
		ran:    once,
	},
}

// losesRedis returns an outage in which Redis is unavailable when a command ends.
func losesRedis(leave func(redis *clustertest.Program)) runFault {
	return runFault{
		slow: "$WAIT; $OVER",
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			leave(s.Own.Redis)
			s.Server.Release()
			testenv.Receive(t, "the end of the command", s.Server.Over)
			s.Own.Redis.Recover()
		},
		status: "succeeded",
		ran:    once,
	}
}

// testFault tests one row. No other test uses the cluster's Redis, so the number of its keys must not change.
func testOutage(t *testing.T, c *heldrun.Cluster, f runFault) {
	t.Helper()
	s := heldrun.NewRunIn(t, c, "fault", f.configBody())
	before, err := s.Redis.DBSize(t.Context()).Result()
	acctest.NoError(t, err)
	f.runTest(t, s)
	acctest.NoError(t, s.Redis.Del(t.Context(), s.Counts).Err())
	if after, err := s.Redis.DBSize(t.Context()).Result(); err != nil || after != before {
		t.Errorf("Redis has %d keys and had %d: %v", after, before, err)
	}
}

// awaitJob waits for the Job of a step.
func awaitJob(t *testing.T, s *heldrun.Run, step string) {
	t.Helper()
	testenv.AwaitTrue(t, "the Job of step "+step, func() bool {
		var jobs batchv1.JobList
		acctest.NoError(t, s.Client.List(t.Context(), &jobs, s.Namespace, workflow.StepLabel+"="+step))
		return len(jobs.Items) > 0
	})
}
