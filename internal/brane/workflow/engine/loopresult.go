package engine

import (
	"context"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// result returns the result of the run so far.
func (l *loop) result(ctx context.Context) workflow.Result {
	result := workflow.Result{Steps: map[string]workflow.StepResult{}}
	for _, name := range l.Graph.Steps() {
		switch l.known[name] {
		case committed:
			result.Steps[name] = workflow.NewStepResult(l.Graph.Step(name), l.records[name])
		case started, early:
			result.Steps[name] = workflow.StepResult{Status: workflow.Stopped}
		case waiting:
			result.Steps[name] = workflow.StepResult{Status: workflow.Skipped}
		case failed: // added with its failure
		}
	}
	for _, failure := range l.failures {
		result.AddFailure(failure, l.Graph.Step(failure.Step).AllowFailure)
	}
	// This has to happen after Ctrl-C as well, so it has a separate short timeout.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer done()
	if err := countAttempts(ctx, l.store, l.Graph, &result); err != nil {
		l.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
	}
	return result
}
