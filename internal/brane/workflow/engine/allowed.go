package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// An allowed failure is final, like a commit: later steps have started because of it, so a later execution must not run the step again. It is stored in Redis beside
// the commits, so that either both exist or neither. Steps with any other failure run again.

// keepFailure stores the failure of a step if it is allowed.
func (l *loop) keepFailure(ctx context.Context, failure *workflow.Failure) error {
	if !l.Graph.Step(failure.Step).AllowFailure {
		return nil
	}
	text, err := json.Marshal(failure)
	if err == nil {
		err = l.store.SetFailure(ctx, failure.Step, text)
	}
	if err != nil {
		return fmt.Errorf("store the failure of step %q of run %q: %w", failure.Step, l.ID, err)
	}
	return nil
}

// recallFailures restores the failures that earlier executions stored. A step that was committed nevertheless, by a pod that had been unreachable, has not failed.
func (l *loop) recallFailures(ctx context.Context) error {
	failures, err := l.standing(ctx, l.store)
	if err != nil {
		return err
	}
	for _, step := range l.Graph.Steps() {
		if failure := failures[step]; failure != nil && l.restoreFailure(step) {
			l.failures = append(l.failures, failure)
			l.observe(workflow.Event{Step: step, Kind: workflow.StepFailed, Detail: failure.Reason + ", before"})
		}
	}
	return nil
}

// standing returns the stored failures by step.
func (r *Run) standing(ctx context.Context, store *files.Store) (map[string]*workflow.Failure, error) {
	var may []string
	for _, step := range r.Graph.All() {
		if step.AllowFailure {
			may = append(may, step.Name)
		}
	}
	texts, err := store.Failures(ctx, may)
	if err != nil {
		return nil, fmt.Errorf("read the failures of run %q: %w", r.ID, err)
	}
	failures := map[string]*workflow.Failure{}
	for step, text := range texts {
		failures[step] = &workflow.Failure{}
		if err := json.Unmarshal(text, failures[step]); err != nil {
			return nil, fmt.Errorf("read the failure of step %q of run %q: %w", step, r.ID, err)
		}
	}
	return failures, nil
}
