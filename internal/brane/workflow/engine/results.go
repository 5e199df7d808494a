package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Part is the result of one index.
type Part struct {
	Committed bool
	Started   time.Time // of its command, if it is committed
	Ended     time.Time
	Attempts  int // how often its command was started
}

// Parts returns the results of a step's indexes in their order; none if the step is not a fan-out step. It uses only the fields ID, Graph and Redis of the Run.
func (r *Run) Parts(ctx context.Context, step string) ([]Part, error) {
	names := r.Graph.Step(step).IndexKeys()
	store, err := Files(r.Redis, r.ID)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	records, err := store.Commits(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("read the commits of the indexes of step %q: %w", step, err)
	}
	starts, err := store.Starts(ctx, names)
	if err != nil {
		return nil, err
	}
	parts := make([]Part, len(names))
	for i, name := range names {
		record, committed := records[name]
		parts[i] = Part{committed, record.Started, record.Ended, starts[name]}
	}
	return parts, nil
}

// countAttempts sets how often the command of each step was started. Agents count that in Redis, where it outlives Jobs, pods and earlier executions.
func countAttempts(ctx context.Context, store *files.Store, g workflow.Graph, r *workflow.Result) error {
	var keys []string
	for _, name := range g.Steps() {
		keys = append(append(keys, name), g.Step(name).IndexKeys()...)
	}
	starts, err := store.Starts(ctx, keys)
	for name, step := range r.Steps {
		step.Attempts = starts[name]
		for _, part := range g.Step(name).IndexKeys() {
			step.Attempts = max(step.Attempts, starts[part])
		}
		if step.Status == workflow.Succeeded {
			step.Attempts = max(step.Attempts, 1) // the agent may have failed to count it
		}
		r.Steps[name] = step
	}
	return err
}

// Recall reads the result of a run that has succeeded from its commits alone, without the cluster. If commits are gone, the error wraps [files.ErrGone]. Recall and Keep
// use only the fields ID, Graph and Redis of the Run.
func (r *Run) Recall(ctx context.Context) (workflow.Result, error) {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return workflow.Result{}, err
	}
	records, err := store.Commits(ctx, r.Graph.Steps())
	if err != nil {
		return workflow.Result{}, fmt.Errorf("read the commits of run %q: %w", r.ID, err)
	}
	failures, err := r.standing(ctx, store)
	if err != nil {
		return workflow.Result{}, err
	}
	result, optional := workflow.Result{Steps: map[string]workflow.StepResult{}}, r.Graph.ListOptional()
	for _, name := range r.Graph.Steps() {
		record, found := records[name]
		if failure := failures[name]; !found && failure != nil {
			result.AddFailure(failure, true)
			continue
		}
		if !found && optional[name] && len(records) > 0 {
			result.Steps[name] = workflow.StepResult{Status: workflow.Skipped}
			continue
		}
		if !found {
			return workflow.Result{}, fmt.Errorf("the commit of step %q of run %q %w", name, r.ID, files.ErrGone)
		}
		result.Steps[name] = workflow.NewStepResult(r.Graph.Step(name), record)
	}
	return result, countAttempts(ctx, store, r.Graph, &result)
}

// Recount adds to a result which steps are committed by now, and the results of calls of packages. It uses only the fields ID, Graph and Redis of the Run.
func (r *Run) Recount(ctx context.Context, result *workflow.Result) error {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return err
	}
	records, err := store.Commits(ctx, r.Graph.Steps())
	if err != nil {
		return fmt.Errorf("read the commits of run %q: %w", r.ID, err)
	}
	if result.Steps == nil {
		result.Steps = map[string]workflow.StepResult{}
	}
	for name, record := range records {
		result.Steps[name] = workflow.NewStepResult(r.Graph.Step(name), record)
	}
	return countAttempts(ctx, store, r.Graph, result)
}
