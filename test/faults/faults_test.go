package faults_test

import (
	"cmp"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// runFault is a fault during a run, and the expected result.
type runFault struct {
	slow       string // commands of the second of three steps; empty: it waits
	more       string // attributes of that step
	last       string // first commands of the last of three steps; empty: none
	steps      string // other steps and outputs instead of the three steps
	attributes string // of the run

	killedBeforeJob int // the provider of the first apply is killed while its request to create the n-th Job is held before the API server; 0: it is not killed

	happens func(*testing.T, *heldrun.Run, *heldrun.Apply) // during the first apply
	says    string                                         // the expected errors of that apply as the CLI prints them; empty: it succeeds
	status  string                                         // the expected status in the state after that apply; empty: the run is not in the state

	mends     func(*testing.T, *heldrun.Run)                 // before the second apply; nil: waiting steps continue, and failing requests succeed
	meanwhile func(*testing.T, *heldrun.Run, *heldrun.Apply) // during the second apply
	saysAgain string
	unwanted  bool // the run is destroyed instead
	crowded   bool // two steps wait at the same time

	ran string // the expected number of starts of each step at the end

	isLong bool // only make test-long has time for it
}

// configBody returns the configuration of the run.
func (f runFault) configBody() string {
	steps := cmp.Or(f.steps, heldrun.Chain{Slow: f.slow, More: f.more, Last: f.last}.String())
	return steps + f.attributes + "\n"
}

// After each fault, the error names the cause and the remedy, the next apply continues the run, completed steps do not run again, and a destroy deletes everything.
func TestAccRunFaults(t *testing.T) {
	t.Parallel()
	testRunFaults(t, false)
}

// testRunFaults tests the rows of [runFaults] that make test has time for, or the others.
func testRunFaults(t *testing.T, isLong bool) {
	t.Helper()
	for name, f := range runFaults {
		if f.isLong != isLong {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.runTest(t, heldrun.NewRunIn(t, nil, "fault", f.configBody()))
		})
	}
}

const once = "first 1, last 1, slow 1"

var runFaults = map[string]runFault{
	// The provider.
	"the provider is killed before it creates the first Job": {
		isLong:          true,
		killedBeforeJob: 1,
		says:            heldrun.Killed,
		ran:             once,
	},
	"the provider is killed when one of three steps is complete": {
		isLong:          true,
		killedBeforeJob: 2,
		says:            heldrun.Killed,
		ran:             once,
	},
	"the provider is killed while a step runs, and the next one adopts its Job": {
		happens: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) { s.AwaitSlowStep(t); a.KillProvider(t) },
		says:    heldrun.Killed,
		mends:   func(*testing.T, *heldrun.Run) {},
		meanwhile: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) {
			a.AwaitLog(t, `step "slow" was already started`)
			s.Server.Release()
		},
		ran: once,
	},
	"the provider is killed when all steps are complete": {
		isLong: true,
		steps: `
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; echo first > /data/both"] }
    slow  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/slow; $WAIT; echo slow >> /data/both"], needs = ["first"] }
  }
  outputs = { both = { path = "both" } }
`,
		happens: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) {
			s.AwaitSlowStep(t)
			a.SuspendProvider(t)
			s.Server.Release()
			s.AwaitCommit(t, "slow")
			a.KillProvider(t)
		},
		says: heldrun.Killed,
		ran:  "first 1, slow 1",
	},
	"Ctrl-C stops the run": {
		happens: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) { s.AwaitSlowStep(t); a.Interrupt(t) },
		says:    stopped,
		status:  "stopped",
		ran:     "first 1, last 1, slow 2",
	},
	"Ctrl-C detaches the run": {
		isLong:     true,
		attributes: `on_interrupt = "detach"`,
		happens:    func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) { s.AwaitSlowStep(t); a.Interrupt(t) },
		says:       leftToItself,
		status:     "running",
		ran:        once,
	},
	"a detached run is destroyed": {
		isLong:     true,
		attributes: `on_interrupt = "detach"`,
		happens:    func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) { s.AwaitSlowStep(t); a.Interrupt(t) },
		says:       leftToItself,
		status:     "running",
		unwanted:   true,
		ran:        "first 1, slow 1",
	},
	"a second apply starts": {
		happens: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) {
			s.AwaitSlowStep(t)
			other := s.CopyCLI(t)
			s.CheckErrors(t, heldrun.StartApply(t, other), `
Run locked by another apply
Running "$RUN" in namespace "$NAMESPACE": run "$RUN" is locked by $HOLDER; its lease lasts until $TIME and is renewed every 10s.

Wait until that apply has ended, then apply again: completed steps do not run again. If that process was killed, the lock expires within 30 seconds.`)
			s.Server.Release()
		},
		status: "succeeded",
		ran:    once,
	},
	"timeouts.create expires": {
		// Starts are counted after the wait, because the first apply may end at any point before it.
		steps: `
  steps = {
    slow = { image = "$TOOLS", command = ["sh", "-ec", "$WAIT; $RAN/slow; echo first > /data/both"] }
    last = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/last; echo slow >> /data/both"], needs = ["slow"] }
  }
  outputs  = { both = { path = "both" } }
  timeouts = { create = "30s" }
`,
		says: `
Run timed out
Running "$RUN" in namespace "$NAMESPACE" of the cluster at $CLUSTER: not finished after 30s (timeouts.create); at that time:
  $STATE

The running steps were stopped. Raise timeouts.create if the run needs more time. Apply again to resume the run: completed steps do not run again. Or destroy it.`,
		status: "stopped",
		mends: func(t *testing.T, s *heldrun.Run) {
			s.ChangeConfig(t, `create = "30s"`, `create = "10m"`)
			s.Server.Release()
		},
		ran: "last 1, slow 1",
	},

	// The command.
	"a command fails, and the prewarmed Job is deleted": {
		isLong:     true,
		slow:       "echo says this >&2; $WORKS",
		attributes: "prewarm = true",
		says: `
Step "slow" of run "fault" failed
Job brane-$RUN-slow-1 in namespace $NAMESPACE, pod brane-$RUN-slow-1-POD on node $NODE: the command failed with exit code 1 (Error).

Last lines:
  says this
  wget: server returned error: HTTP/1.1 503 Service Unavailable

See everything: kubectl -n $NAMESPACE logs job/brane-$RUN-slow-1 --all-containers

Because of this 1 of 3 steps were stopped or not started.`,
		status: "failed",
		ran:    "first 1, last 1, slow 2",
	},
	"a command fails, with create_before_destroy": {
		isLong:     true,
		slow:       "$WORKS",
		attributes: "lifecycle { create_before_destroy = true }",
		says: `
Step "slow" of run "fault" failed
Job brane-$RUN-slow-1 in namespace $NAMESPACE, pod brane-$RUN-slow-1-POD on node $NODE: the command failed with exit code 1 (Error).

Last lines:
  wget: server returned error: HTTP/1.1 503 Service Unavailable

See everything: kubectl -n $NAMESPACE logs job/brane-$RUN-slow-1 --all-containers

Because of this 1 of 3 steps were stopped or not started.`,
		status: "failed",
		ran:    "first 1, last 1, slow 2",
	},
	"a command exceeds its memory limit": {
		slow: "echo hungry >&2; $WORKS || head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null",
		more: `resources = { limits = { memory = "48Mi" } }`,
		says: `
Step "slow" of run "fault" failed
Job brane-$RUN-slow-1 in namespace $NAMESPACE, pod brane-$RUN-slow-1-POD on node $NODE: the command failed with exit code 137 (OOMKilled).

Last lines:
  hungry
  wget: server returned error: HTTP/1.1 503 Service Unavailable
  Killed

The command needs more memory than its limit: kubectl -n $NAMESPACE describe job/brane-$RUN-slow-1
After such a change, only this step and those that need it run.

Because of this 1 of 3 steps were stopped or not started.`,
		status: "failed",
		ran:    "first 1, last 1, slow 2",
	},
	"a command ignores SIGTERM": {
		isLong:  true,
		slow:    "trap '' TERM; $WAIT",
		happens: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) { s.AwaitSlowStep(t); a.Interrupt(t) },
		says:    stopped,
		status:  "stopped",
		ran:     "first 1, last 1, slow 2",
	},
	"a command ignores SIGTERM when the run is destroyed": {
		isLong:     true,
		slow:       "trap '' TERM; $WAIT",
		attributes: `on_interrupt = "detach"`,
		happens:    func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) { s.AwaitSlowStep(t); a.Interrupt(t) },
		says:       leftToItself,
		status:     "running",
		unwanted:   true,
		ran:        "first 1, slow 1",
	},
	"a command leaves processes that keep writing": {
		isLong: true,
		slow:   "(while :; do echo noise >> /data/noise; done) & setsid sh -c 'trap \\\"\\\" TERM HUP; while :; do echo more >> /data/more; done' & while ! test -s /data/noise -a -s /data/more; do :; done",
		status: "succeeded",
		ran:    once,
	},
	"a command exceeds its timeout": {
		isLong:  true,
		more:    `timeout = "1h"`,
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) { s.AwaitSlowStep(t); passTimeout(t, s, "slow", 1) },
		says: `
Step "slow" of run "fault" failed
Job brane-$RUN-slow-1 in namespace $NAMESPACE, pod brane-$RUN-slow-1-POD on node $NODE: DeadlineExceeded: Job was active longer than specified deadline.

Last lines:
  brane: step "slow": the container received SIGTERM before the command had ended; it exited with code 143, and its files are not stored

Raise the step's timeout, or find out why it takes so long: kubectl -n $NAMESPACE describe job/brane-$RUN-slow-1
After such a change, only this step and those that need it run.

Because of this 1 of 3 steps were stopped or not started.`,
		status: "failed",
		mends:  func(*testing.T, *heldrun.Run) {},
		meanwhile: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.Server.AwaitArrivals(t, 2)
			passTimeout(t, s, "slow", 2)
		},
		saysAgain: `
Step "slow" of run "fault" failed
Job brane-$RUN-slow-2 in namespace $NAMESPACE, pod brane-$RUN-slow-2-POD on node $NODE: DeadlineExceeded: Job was active longer than specified deadline.

Last lines:
  brane: step "slow": the container received SIGTERM before the command had ended; it exited with code 143, and its files are not stored

Raise the step's timeout, or find out why it takes so long: kubectl -n $NAMESPACE describe job/brane-$RUN-slow-2
After such a change, only this step and those that need it run.

Because of this 1 of 3 steps were stopped or not started.`,
		ran: "first 1, slow 2",
	},

	// The files.
	"an output is missing": {
		steps: `
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/first; printf 'first\\nslow\\n' > /data/left"] }
  }
  outputs = { both = { path = "no/where" } }
`,
		says: `
Missing output
All steps of run "$RUN" succeeded, but none wrote a file to /data/no/where. Correct the path, or write the file in a step.`,
		status: "stopped",
		mends:  func(t *testing.T, s *heldrun.Run) { s.ChangeConfig(t, "no/where", "left") },
		ran:    "first 1",
	},
	"two concurrent steps write to one path": {
		steps: `
  steps = {
    left  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/left; echo left > /data/side"] }
    right = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/right; echo right > /data/side"] }
    join  = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/join"], needs = ["left", "right"] }
  }
`,
		says: `
Step "join" of run "fault" failed
merge the files of the needed steps: steps "left" and "right" wrote different content to "side".

Add one of the steps to needs of the other, or write to different paths.`,
		status: "failed",
		saysAgain: `
Step "join" of run "fault" failed
merge the files of the needed steps: steps "left" and "right" wrote different content to "side".

Add one of the steps to needs of the other, or write to different paths.`,
		ran: "left 1, right 1",
	},

	// The cluster.
	"a pod is deleted": {
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			deleteSlowPod(t, s)
			s.Server.Release()
		},
		status: "succeeded",
		ran:    "first 1, last 1, slow 2",
	},
	"a pod is evicted": {
		isLong: true,
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			evictSlowPod(t, s)
			s.Server.Release()
		},
		status: "succeeded",
		ran:    "first 1, last 1, slow 2",
	},
	"a Job is deleted": {
		isLong:  true,
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) { s.AwaitSlowStep(t); deleteJob(t, s, "slow") },
		says: `
Step "slow" of run "fault" failed
Job brane-$RUN-slow-1 in namespace $NAMESPACE, pod brane-$RUN-slow-1-POD on node $NODE: JobDeleted: the Job was deleted before its step had stored its files.

How far its command had come is not known. Apply again to run the step again.

Because of this 1 of 3 steps were stopped or not started.`,
		status: "failed",
		ran:    "first 1, last 1, slow 2",
	},

	// The engine inside the cluster.
	"the provider is killed before it creates the controller Job": {
		isLong:          true,
		attributes:      "wait = false",
		killedBeforeJob: 1,
		says:            heldrun.Killed,
		ran:             once,
	},
	"the engine is killed": {
		attributes: "wait = false",
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			first := s.AwaitEngine(t)
			killEngine(t, first)
			s.AwaitEngine(t, first.Name)
			s.Server.Release()
		},
		status: "running",
		ran:    once,
	},
	"the engine's pod is deleted": {
		isLong:     true,
		attributes: "wait = false",
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			first := s.AwaitEngine(t)
			acctest.NoError(t, s.Client.Delete(t.Context(), first))
			s.AwaitEngine(t, first.Name)
			s.Server.Release()
		},
		status: "running",
		ran:    once,
	},
	"the run is destroyed while the engine runs": {
		attributes: "wait = false",
		happens:    func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) { s.AwaitSlowStep(t) },
		status:     "running",
		unwanted:   true,
		ran:        "first 1, slow 1",
	},
}

const (
	stopped = `
Run interrupted
Interrupted while running "$RUN" in namespace "$NAMESPACE". The running steps were stopped. Apply again to resume the run: completed steps do not run again. Or destroy it.`

	leftToItself = `
Run detached
Interrupted while running "$RUN" in namespace "$NAMESPACE". on_interrupt is "detach", so its Jobs keep running. Apply again to resume the run: completed steps do not run again. To stop it, destroy it.`
)
