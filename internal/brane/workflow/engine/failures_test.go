package engine

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
)

// Redis is full when steps fail, which may be why: their failures end the run nevertheless, and all of them are reported.
func TestFailuresWhileRedisIsFull(t *testing.T) {
	l, client, _ := openLoop(t, workflow.Step{Name: "a"}, workflow.Step{Name: "b"})
	for _, step := range l.spec.Graph.Steps() {
		l.state.markUnconfirmed(step, 1, failureReason{"BackoffLimitExceeded", "message"})
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.failures) != 2 || !l.state.decide().hasFailed {
		t.Errorf("there are %d failures", len(l.failures))
	}
}

// Another process that continues the execution restores a failure that is not allowed. One of another record of the run, whose terms have begun again, is of
// another execution.
func TestFailuresOfTheExecution(t *testing.T) {
	for name, tt := range map[string]struct {
		record     string
		isRestored bool
	}{"of this record": {"", true}, "of an earlier record": {"another", false}} {
		t.Run(name, func(t *testing.T) {
			l, _, _ := openLoop(t, workflow.Step{Name: "a"})
			execution := *l.Execution
			execution.firstTerm = 0 // the lease was acquired again since then
			l.Execution = &execution
			in := results.Term{Record: string(l.lease.Owner().UID) + tt.record, Number: 1}
			if err := l.results.StoreFailure(t.Context(), &workflow.Failure{Step: "a"}, l.starts["a"].fingerprint, in); err != nil {
				t.Fatal(err)
			}
			l = newLoop(l.Execution)
			if err := l.settleSteps(t.Context()); err != nil {
				t.Fatal(err)
			}
			if isRestored := l.state.phaseOf("a") == failed; isRestored != tt.isRestored {
				t.Errorf("the failure is restored: %t", isRestored)
			}
		})
	}
}
