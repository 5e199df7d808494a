package engine

import (
	"context"
	"errors"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
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
	failures, err := l.results.FinalFailures(ctx, fingerprints, l.termOf(l.firstTerm))
	if err != nil {
		return err
	}
	for step, failure := range failures {
		if !l.state.restoreFailure(step) {
			continue
		}
		l.failures = append(l.failures, failure)
		if err := l.storeFailure(ctx, failure); err != nil { // again, so that it is kept as long as this execution
			return err
		}
		l.reportEvent(workflow.StepFailed, step, failure.Reason+", before")
	}
	return nil
}

// storeFailure stores a failure for the processes that continue this execution, and if it is allowed for later executions. If Redis is full, which may be the
// reason of the failure, a failure that is not allowed ends the run without that.
func (l *loop) storeFailure(ctx context.Context, failure *workflow.Failure) error {
	err := l.results.StoreFailure(ctx, failure, l.starts[failure.Step].fingerprint, l.termOf(l.lease.Transitions()))
	if errors.Is(err, files.ErrFull) && !l.spec.Graph.Step(failure.Step).AllowFailure {
		l.reportEvent(workflow.RunDisturbed, failure.Step, err.Error())
		return nil
	}
	return err
}

// termOf returns a term of the lease in the record of the run.
func (l *loop) termOf(number int) results.Term {
	return results.Term{Record: string(l.lease.Owner().UID), Number: number}
}

// isFinalFailure reports whether the failure of a Job that an earlier process has created is final, although no process has stored it, because none was
// there when the Job failed. The Jobs of a run that was cancelled have failed because of that.
func (l *loop) isFinalFailure(job attempt, now time.Time) bool {
	isOfExecution := job.record == l.lease.Owner().UID && job.agent.Term >= l.firstTerm
	return job.hasFailed && !l.wasCancelled && (isOfExecution || l.spec.Graph.Step(job.step).AllowFailure) && !l.isStale(job, now)
}
