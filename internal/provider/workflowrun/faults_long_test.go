//go:build long

package workflowrun_test

import (
	"maps"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// The table with more rows: kills of the provider at more points, and longer outages, for several shapes of runs.

// shape is a run whose step "slow" waits, and whose steps complete one after another.
type shape struct {
	body  runFault // without the fault
	steps []string // in the order of their completion
	ran   string
}

var shapes = map[string]shape{
	"a chain": {runFault{last: "$FINISH"}, []string{"first", "slow", "last"}, once},
	"a chain that is prewarmed": {
		runFault{attributes: "prewarm = true", last: "$FINISH"}, []string{"first", "slow", "last"}, once,
	},
	"a fan-out": {
		runFault{steps: `
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; echo first > /data/first"] }
    slow  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/slow.$BRANE_INDEX; if [ $BRANE_INDEX = 1 ]; then $WAIT; $OVER; fi; echo slow > /data/slow.$BRANE_INDEX"], needs = ["first"], completions = 3, parallelism = 2 }
    last  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/last; $FINISH; cat /data/first /data/slow.2 > /data/both"], needs = ["slow"] }
  }
  outputs = { both = { path = "both" } }
`}, []string{"first", "slow", "last"}, "first 1, last 1, slow.0 1, slow.1 1, slow.2 1",
	},
	"one Job at a time": {
		runFault{attributes: "parallelism = 1\n", steps: `
  steps = {
    first  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; echo first > /data/first"] }
    beside = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/beside"], needs = ["first"] }
    slow   = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/slow; $WAIT; $OVER; echo slow > /data/slow"], needs = ["first"] }
    last   = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/last; $FINISH; cat /data/first /data/slow > /data/both"], needs = ["beside", "slow"] }
  }
  outputs = { both = { path = "both" } }
`}, []string{"first", "beside", "slow", "last"}, "beside 1, first 1, last 1, slow 1",
	},
}

// TestLongRunFaults kills the provider at several points of each run.
func TestLongRunFaults(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		of := shapes[name]
		kill := func(when string, beforeJob int, happens func(*testing.T, *survival, *applying)) {
			t.Run("the provider is killed "+when+" of "+name, func(t *testing.T) {
				t.Parallel()
				f := of.body
				f.killedBeforeJob, f.happens, f.says, f.ran = beforeJob, happens, killed, of.ran
				f.runTest(t, newSurvivalIn(t, nil, "fault", f.configBody()))
			})
		}
		kill("before it creates the first Job", 1, nil)
		for _, step := range of.steps[:len(of.steps)-1] { // the last step waits meanwhile, because the apply ends after it
			kill("when "+step+" is complete", 0, func(t *testing.T, s *survival, a *applying) {
				if step == "slow" {
					s.awaitSlowStep(t)
					s.server.letGo()
				}
				s.awaitCommit(t, step)
				a.killProvider(t)
			})
		}
		kill("before it detects that slow is complete", 0, func(t *testing.T, s *survival, a *applying) {
			s.awaitSlowStep(t)
			a.suspendProvider(t)
			s.server.letGo()
			if name == "a fan-out" { // the provider merges the indexes
				s.awaitCommit(t, "slow.1")
			} else {
				s.awaitCommit(t, "slow")
			}
			a.killProvider(t)
		})
	}
}

// outage is the duration of an outage.
const outage = 10 * time.Second

func TestLongRunOutages(t *testing.T) {
	own := newOwnCluster(t)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		of := shapes[name]
		for what, away := range map[string]func(*testing.T, *survival){
			"the API server is killed and away for 10 s": func(t *testing.T, s *survival) {
				own.server.Kill()
				s.server.letGo()
				time.Sleep(outage) // the outage itself, not a wait
				own.server.Recover()
			},
			"Redis is killed and away for 10 s": func(t *testing.T, s *survival) {
				own.redis.Kill()
				s.server.letGo()
				time.Sleep(outage) // the outage itself
				own.redis.Recover()
			},
			"Redis does not answer for 10 s": func(t *testing.T, s *survival) {
				own.redis.Pause()
				s.server.letGo()
				time.Sleep(outage) // the outage itself
				own.redis.Recover()
			},
			"the kubelet is away until its node is given up": func(t *testing.T, s *survival) {
				start := own.StopKubelet(t)
				s.server.letGo()
				s.nodeReady(t, "Unknown")
				start()
				s.nodeReady(t, "True")
			},
		} {
			t.Run(what+", for "+name, func(t *testing.T) {
				f := of.body
				f.status, f.ran = "succeeded", of.ran
				f.happens = func(t *testing.T, s *survival, _ *applying) {
					s.server.finish()
					s.awaitSlowStep(t)
					away(t, s)
				}
				own.testFault(t, f)
			})
		}
	}
}

// TestLongRunOutagesOfTenMinutes has outages that last longer than any single request is repeated for. The command ends during the outage.
func TestLongRunOutagesOfTenMinutes(t *testing.T) {
	own := newOwnCluster(t)
	for what, program := range map[string]*clustertest.Program{"the API server": own.server, "Redis": own.redis} {
		t.Run(what, func(t *testing.T) {
			f := shapes["a chain"].body
			f.status, f.ran = "succeeded", once
			f.happens = func(t *testing.T, s *survival, _ *applying) {
				s.server.finish()
				s.awaitSlowStep(t)
				program.Kill()
				s.server.letGo()
				time.Sleep(10 * time.Minute) // the outage itself
				program.Recover()
			}
			own.testFault(t, f)
		})
	}
}

// nodeReady waits until the condition Ready of the cluster's node is True, False or Unknown.
func (s *survival) nodeReady(t *testing.T, status string) {
	t.Helper()
	wait := exec.CommandContext(t.Context(), "kubectl", "wait", "node", "--all", "--for=condition=Ready="+status, "--timeout="+patience.String())
	wait.Env = s.cli.Env
	if out, err := wait.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
