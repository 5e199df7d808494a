package workflow

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// A failure that is allowed stands, as a commit does: what follows has begun because of it, so whoever carries the run on must not try the step again. It is
// kept in Redis, beside the commits, so that both are there or neither is. All other failures are tried again.

// keepFailure keeps how a step has failed, where that is allowed.
func (l *loop) keepFailure(ctx context.Context, failure *Failure) error {
	if !l.Graph.steps[failure.Step].AllowFailure {
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

// recallFailures takes up the failures that earlier Executes have seen. A step that was committed all the same, by a pod that came back to life, has not failed.
func (l *loop) recallFailures(ctx context.Context) error {
	failures, err := l.standing(ctx, l.store)
	if err != nil {
		return err
	}
	for _, step := range l.Graph.order {
		if failure := failures[step]; failure != nil && l.known[step] != committed {
			l.stand(step)
			l.failures = append(l.failures, failure)
			l.observe(Event{Step: step, Kind: StepFailed, Detail: failure.Reason + ", before"})
		}
	}
	return nil
}

// standing are the failures that stand, by their steps.
func (r *Run) standing(ctx context.Context, store *files.Store) (map[string]*Failure, error) {
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
	failures := map[string]*Failure{}
	for step, text := range texts {
		failures[step] = &Failure{}
		if err := json.Unmarshal(text, failures[step]); err != nil {
			return nil, fmt.Errorf("read the failure of step %q of run %q: %w", step, r.ID, err)
		}
	}
	return failures, nil
}
