//go:build long

package faults_test

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
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

// TestLongRunFaultRows tests the rows of the tables that make test has no time for. The outages share a dedicated cluster whose programs can be killed, so they run
// sequentially.
func TestLongRunFaultRows(t *testing.T) {
	t.Run("faults", func(t *testing.T) { testRunFaults(t, true) })
	t.Run("stops", func(t *testing.T) { testStops(t, true) })
	own := heldrun.NewCluster(t)
	for _, name := range slices.Sorted(maps.Keys(outages)) {
		t.Run(name, func(t *testing.T) { testOutage(t, own, outages[name]) })
	}
}

// TestLongRunFaults kills the provider at several points of each run.
func TestLongRunFaults(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		of := shapes[name]
		kill := func(when string, beforeJob int, happens func(*testing.T, *heldrun.Run, *heldrun.Apply)) {
			t.Run("the provider is killed "+when+" of "+name, func(t *testing.T) {
				t.Parallel()
				f := of.body
				f.killedBeforeJob, f.happens, f.says, f.ran = beforeJob, happens, heldrun.Killed, of.ran
				f.runTest(t, heldrun.NewRunIn(t, nil, "fault", f.configBody()))
			})
		}
		kill("before it creates the first Job", 1, nil)
		for _, step := range of.steps[:len(of.steps)-1] { // the last step waits meanwhile, because the apply ends after it
			kill("when "+step+" is complete", 0, func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) {
				if step == "slow" {
					s.AwaitSlowStep(t)
					s.Server.Release()
				}
				s.AwaitCommit(t, step)
				a.KillProvider(t)
			})
		}
		kill("before it detects that slow is complete", 0, func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) {
			s.AwaitSlowStep(t)
			a.SuspendProvider(t)
			s.Server.Release()
			if name == "a fan-out" { // the provider merges the indexes
				awaitCommitOfIndex(t, s, "slow.1")
			} else {
				s.AwaitCommit(t, "slow")
			}
			a.KillProvider(t)
		})
	}
}

// awaitCommitOfIndex waits until an index of a fan-out has committed. Its fingerprint is not known, unlike that of its step.
func awaitCommitOfIndex(t *testing.T, s *heldrun.Run, index string) {
	t.Helper()
	id := s.AwaitID(t)
	testenv.AwaitTrue(t, "the commit of index "+index, func() bool {
		keys, err := acctest.RunKeys(t.Context(), s.Redis, id)
		acctest.NoError(t, err)
		return slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "brane:"+id+":step:"+index+":") })
	})
}

// outage is the duration of an outage.
const outage = 10 * time.Second

func TestLongRunOutages(t *testing.T) {
	own := heldrun.NewCluster(t)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		of := shapes[name]
		for what, away := range map[string]func(*testing.T, *heldrun.Run){
			"the API server is killed and away for 10 s": func(t *testing.T, s *heldrun.Run) {
				own.APIServer.Kill()
				s.Server.Release()
				time.Sleep(outage) // the outage itself, not a wait
				own.APIServer.Recover()
			},
			"Redis is killed and away for 10 s": func(t *testing.T, s *heldrun.Run) {
				own.Redis.Kill()
				s.Server.Release()
				time.Sleep(outage) // the outage itself
				own.Redis.Recover()
			},
			"Redis does not answer for 10 s": func(t *testing.T, s *heldrun.Run) {
				own.Redis.Pause()
				s.Server.Release()
				time.Sleep(outage) // the outage itself
				own.Redis.Recover()
			},
			"the kubelet is away until its node is given up": func(t *testing.T, s *heldrun.Run) {
				start := own.StopKubelet(t)
				s.Server.Release()
				awaitNodeReady(t, s, "Unknown")
				start()
				awaitNodeReady(t, s, "True")
			},
		} {
			t.Run(what+", for "+name, func(t *testing.T) {
				f := of.body
				f.status, f.ran = "succeeded", of.ran
				f.happens = func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
					s.Server.Finish()
					s.AwaitSlowStep(t)
					away(t, s)
				}
				testOutage(t, own, f)
			})
		}
	}
}

// TestLongRunOutagesOfTenMinutes has outages that last longer than any single request is repeated for. The command ends during the outage.
func TestLongRunOutagesOfTenMinutes(t *testing.T) {
	own := heldrun.NewCluster(t)
	for what, program := range map[string]*clustertest.Program{"the API server": own.APIServer, "Redis": own.Redis} {
		t.Run(what, func(t *testing.T) {
			f := shapes["a chain"].body
			f.status, f.ran = "succeeded", once
			f.happens = func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
				s.Server.Finish()
				s.AwaitSlowStep(t)
				program.Kill()
				s.Server.Release()
				time.Sleep(10 * time.Minute) // the outage itself
				program.Recover()
			}
			testOutage(t, own, f)
		})
	}
}

// awaitNodeReady waits until the condition Ready of the cluster's node is True, False or Unknown.
func awaitNodeReady(t *testing.T, s *heldrun.Run, status string) {
	t.Helper()
	wait := exec.CommandContext(t.Context(), "kubectl", "wait", "node", "--all", "--for=condition=Ready="+status, "--timeout="+testenv.Patience.String())
	wait.Env = s.CLI.Env
	if out, err := wait.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
