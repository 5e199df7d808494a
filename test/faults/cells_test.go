package faults_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The table of faults and moments. Each cell is a run that meets a fault at a moment; [runFaults] has the faults that depend on the configuration.

// fault is what happens to a run.
type fault struct {
	name       string
	attributes string                     // of the run
	prepare    func(t *testing.T, l *lab) // before the run is created; nil: nothing
	happens    func(t *testing.T, l *lab, a *heldrun.Apply)
	ends       func(t *testing.T, l *lab) // repairs, once clients have met it; nil: it is over
	outcomes   map[*runMoment]outcome     // a moment without an outcome is no cell
}

// outcome is what is expected of a cell.
type outcome struct {
	says    string // the errors of the command
	status  string // in the state after it
	ran     string
	isQuick bool // it is part of make test
}

// cell is a fault at a moment.
type cell struct {
	*fault
	at *runMoment
}

func (c cell) String() string { return c.name + " " + c.at.name }

// cells returns all cells, by faults and moments.
func cells() (all []cell) {
	for _, f := range slices.Concat(faults, clusterFaults, groupFaults) {
		for _, at := range runMoments {
			if _, isCell := f.outcomes[at]; isCell {
				all = append(all, cell{&f, at})
			}
		}
	}
	return all
}

// runTest tests a cell.
func (c cell) runTest(t *testing.T) {
	t.Helper()
	t.Parallel()
	attributes := c.at.attributes + "\n" + c.attributes
	l := newLab(t, attributes)
	if c.prepare != nil {
		c.prepare(t, l)
	}
	want := c.outcomes[c.at]
	a := c.at.reach(t, l)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the provider logs\n%s", &a.Log)
		}
	})
	c.happens(t, l, a)
	l.gate.open()
	if c.ends != nil {
		c.ends(t, l)
	}
	l.Server.Release()
	l.CheckErrors(t, a, want.says)
	if got := l.ReadStatus(t); got != want.status {
		t.Errorf("the status is %q, not %q", got, want.status)
	}
	if c.at != whileDestroying {
		runFault{attributes: attributes}.continueRun(t, l.Run)
	}
	if got := l.CountStarts(t); got != want.ran {
		t.Errorf("the steps ran: %s\nand not: %s", got, want.ran)
	}
	l.CheckNothingLeft(t)
}

// TestAccRunFaultCells tests the cells that make test has time for.
func TestAccRunFaultCells(t *testing.T) {
	t.Parallel()
	for _, c := range cells() {
		if c.outcomes[c.at].isQuick {
			t.Run(c.String(), c.runTest)
		}
	}
}

// isSurvived has no error at any moment: the run continues, and no command starts again.
func isSurvived(quick ...*runMoment) map[*runMoment]outcome {
	return isSurvivedAt(runMoments, quick...)
}

func isSurvivedAt(moments []*runMoment, quick ...*runMoment) map[*runMoment]outcome {
	return outcomesOf(moments, quick, func(at *runMoment) outcome {
		status := "succeeded"
		switch at {
		case whileHandingOn:
			status = "running"
		case whileDestroying:
			status = ""
		}
		return outcome{status: status, ran: once}
	})
}

// outcomesOf returns the outcomes of a fault at moments.
func outcomesOf(moments, quick []*runMoment, of func(at *runMoment) outcome) map[*runMoment]outcome {
	all := map[*runMoment]outcome{}
	for _, at := range moments {
		each := of(at)
		for _, q := range quick {
			each.isQuick = each.isQuick || q == at
		}
		all[at] = each
	}
	return all
}

var faults = []fault{
	// The provider.
	{
		name: "the provider is killed",
		happens: func(t *testing.T, _ *lab, a *heldrun.Apply) {
			a.KillProvider(t)
			testenv.Receive(t, "the end of the CLI", a.Ended)
		},
		outcomes: outcomesOf(runMoments, []*runMoment{whileDestroying}, func(at *runMoment) outcome {
			if at == whileDestroying {
				return outcome{says: heldrun.Killed, status: "succeeded", ran: once}
			}
			return outcome{says: heldrun.Killed, ran: once}
		}),
	},
	{
		name: "Ctrl-C",
		happens: func(t *testing.T, _ *lab, a *heldrun.Apply) {
			a.Interrupt(t)
			testenv.Receive(t, "the end of the CLI", a.Ended)
		},
		outcomes: outcomesOf(runMoments[:5], nil, func(at *runMoment) outcome {
			ran := once
			if at == whileRunning || at == whileStoring {
				ran = "first 1, last 1, slow 2"
			}
			return outcome{says: stopped, status: "stopped", ran: ran}
		}),
	},
	{
		name: "Ctrl-C with on_interrupt = detach", attributes: `on_interrupt = "detach"`,
		happens: func(t *testing.T, _ *lab, a *heldrun.Apply) {
			a.Interrupt(t)
			testenv.Receive(t, "the end of the CLI", a.Ended)
		},
		outcomes: outcomesOf(runMoments[:5], nil, func(*runMoment) outcome { return outcome{says: leftToItself, status: "running", ran: once} }),
	},

	// The API server.
	answersWith("the API server resets connections", meetings, disturb.AnswerReset, betweenSteps),
	answersWith("the API server answers with 500", meetings, disturb.AnswerStatus(http.StatusInternalServerError, metav1.StatusReasonInternalError), whileRunning),
	answersWith("the API server answers with 503", meetings, disturb.AnswerStatus(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)),
	answersWith("the API server answers with 429", meetings, disturb.AnswerStatus(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)),
	answersWith("the API server is slow", 1, disturb.AnswerLate(300*time.Millisecond)),

	// Redis.
	{
		name:     "connections to Redis are reset",
		happens:  func(_ *testing.T, l *lab, _ *heldrun.Apply) { l.store.Reset() },
		outcomes: isSurvived(),
	},
	refusesWith("Redis is away", disturb.RedisFault{IsAway: true}, whileRunning),
	refusesWith("Redis does not answer", disturb.RedisFault{Hangs: true}),
	refusesWith("Redis is slow", disturb.RedisFault{Delay: 100 * time.Millisecond}),
	refusesWith("Redis answers with NOREPLICAS", disturb.RedisFault{Error: "NOREPLICAS Not enough good replicas to write.", Writes: true}),
	refusesWith("Redis answers with READONLY", disturb.RedisFault{Error: "READONLY You can't write against a read only replica.", Writes: true}, whileStoring),
	refusesWith("Redis answers with LOADING", disturb.RedisFault{Error: "LOADING Redis is loading the dataset in memory"}),
	refusesWith("Redis answers with CLUSTERDOWN", disturb.RedisFault{Error: "CLUSTERDOWN The cluster is down"}),
	refusesWith("Redis answers with MISCONF", disturb.RedisFault{Error: "MISCONF Errors writing to the AOF file: No space left on device", Writes: true}),
}

// meetings is the number of requests or commands that meet a fault before it is repaired.
const meetings = 3

// answersWith returns a fault of the API server that a run survives, and that ends when this number of requests has met it. A request that was only late is
// not repeated, and few follow it.
func answersWith(name string, requests int, answer disturb.Answer, quick ...*runMoment) fault {
	return fault{
		name:    name,
		happens: func(_ *testing.T, l *lab, _ *heldrun.Apply) { l.api.Disturb(answer, true) },
		ends: func(t *testing.T, l *lab) {
			testenv.AwaitTrue(t, "requests to meet the fault", func() bool { return l.api.CountMet() >= requests })
			l.api.Repair()
		},
		outcomes: isSurvived(quick...),
	}
}

// refusesWith returns a fault of Redis that a run survives.
func refusesWith(name string, what disturb.RedisFault, quick ...*runMoment) fault {
	enough := meetings
	if what.Hangs {
		enough = 1 // a client waits for the response before it sends the next command
	}
	f := fault{
		name:    name,
		happens: func(_ *testing.T, l *lab, _ *heldrun.Apply) { l.store.Disturb(what) },
		ends: func(t *testing.T, l *lab) {
			testenv.AwaitTrue(t, "commands to meet the fault", func() bool { return l.store.CountMet() >= enough })
			l.store.Repair()
		},
		outcomes: isSurvived(quick...),
	}
	if what.Writes { // nothing is written while a step runs
		delete(f.outcomes, whileRunning)
	}
	return f
}
