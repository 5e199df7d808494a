package engine

import (
	"context"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Failures of earlier processes. An execution may be continued by another process: the engine of a detached run gets another pod when its node is
// drained. For that process, a failure of the execution is final, like for the process that has noticed it: steps that run after failures have
// started because of it. An allowed failure is final for later executions as well.

// restoreFailures restores the stored failures of steps that have the same fingerprints.
func (l *loop) restoreFailures(ctx context.Context, steps []string) error {
	fingerprints := map[string]files.Fingerprint{}
	isContinued := l.lease.Transitions() > l.firstTerm
	for _, step := range steps {
		if start, isKnown := l.starts[step]; isKnown && (isContinued || l.spec.Graph.Step(step).AllowFailure) && l.state.phaseOf(step) == pending {
			fingerprints[step] = start.fingerprint
		}
	}
	failures, err := l.results.FinalFailures(ctx, fingerprints, l.firstTerm)
	if err != nil {
		return err
	}
	for step, failure := range failures {
		if !l.state.restoreFailure(step) {
			continue
		}
		l.failures = append(l.failures, failure)
		if err := l.results.StoreFailure(ctx, failure, fingerprints[step], l.lease.Transitions()); err != nil { // again, so that it is kept as long as this execution
			return err
		}
		l.reportEvent(workflow.StepFailed, step, failure.Reason+", before")
	}
	return nil
}

// isFinalFailure reports whether the failure of a Job that an earlier process has created is final, although no process has stored it, because none was
// there when the Job failed. The Jobs of a run that was cancelled have failed because of that.
func (l *loop) isFinalFailure(job attempt, now time.Time) bool {
	isOfExecution := job.agent.Term >= l.firstTerm
	return job.hasFailed && !l.wasCancelled && (isOfExecution || l.spec.Graph.Step(job.step).AllowFailure) && !l.isStale(job, now)
}
