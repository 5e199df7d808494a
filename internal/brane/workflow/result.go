package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Result is the result of a run that has ended.
type Result struct {
	Steps    map[string]StepResult
	Failures []*Failure // empty if the run has succeeded
	Allowed  []*Failure // of steps whose failure is allowed
}

// Status returns the status of the run after an Execute that returned this error.
func (r Result) Status(err error) RunStatus {
	switch {
	case err != nil:
		return RunStopped
	case len(r.Failures) > 0:
		return RunFailed
	}
	return RunSucceeded
}

// RunStatus is the status of a run.
type RunStatus string

// Values of RunStatus.
const (
	RunRunning   RunStatus = "running"
	RunSucceeded RunStatus = "succeeded"
	RunFailed    RunStatus = "failed"
	RunStopped   RunStatus = "stopped" // it could not continue, or was interrupted
)

// StepResult is the result of one step.
type StepResult struct {
	Status   StepStatus
	Code     int       // exit code of the container; 0 unless the step has failed with one
	Started  time.Time // of the command, in the last attempt
	Ended    time.Time
	Attempts int            // how often its command was started, by all executions of the run; of a fan-out step, the maximum of its indexes
	Layer    files.Layer    // the files of a committed step
	Value    branelet.Value `json:"-"` // the result of its call, which is part of the commit; nil if it calls no package
}

// StepStatus is the status of a step.
type StepStatus string

// Values of StepStatus.
const (
	Succeeded StepStatus = "succeeded"
	Failed    StepStatus = "failed"
	Stopped   StepStatus = "stopped" // was running when another step failed
	Skipped   StepStatus = "skipped" // was not started
)

// result returns the result of the run so far.
func (l *loop) result(ctx context.Context) Result {
	result := Result{Steps: map[string]StepResult{}}
	for _, name := range l.Graph.order {
		switch l.known[name] {
		case committed:
			result.Steps[name] = succeeded(l.Graph.steps[name], l.records[name])
		case started, early:
			result.Steps[name] = StepResult{Status: Stopped}
		case waiting:
			result.Steps[name] = StepResult{Status: Skipped}
		case failed: // added with its failure
		}
	}
	for _, failure := range l.failures {
		result.add(failure, l.Graph.steps[failure.Step].AllowFailure)
	}
	// This has to happen after Ctrl-C as well, so it has a separate short timeout.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer done()
	if err := result.count(ctx, l.store, l.Graph); err != nil {
		l.observe(Event{Kind: RunDisturbed, Detail: err.Error()})
	}
	return result
}

// add adds the failure of a step.
func (r *Result) add(failure *Failure, isAllowed bool) {
	r.Steps[failure.Step] = StepResult{Status: Failed, Code: failure.Code, Started: failure.Started, Ended: failure.Ended}
	if isAllowed {
		r.Allowed = append(r.Allowed, failure)
	} else {
		r.Failures = append(r.Failures, failure)
	}
}

// count sets how often the command of each step was started. Agents count that in Redis, where it outlives Jobs, pods and earlier executions.
func (r *Result) count(ctx context.Context, store *files.Store, g Graph) error {
	var keys []string
	for _, name := range g.order {
		keys = append(append(keys, name), g.steps[name].parts()...)
	}
	starts, err := store.Starts(ctx, keys)
	for name, step := range r.Steps {
		step.Attempts = starts[name]
		for _, part := range g.steps[name].parts() {
			step.Attempts = max(step.Attempts, starts[part])
		}
		if step.Status == Succeeded {
			step.Attempts = max(step.Attempts, 1) // the agent may have failed to count it
		}
		r.Steps[name] = step
	}
	return err
}

func succeeded(step Step, record files.Record) StepResult {
	result := StepResult{Status: Succeeded, Started: record.Started, Ended: record.Ended, Layer: record.Layer}
	if step.Call != nil {
		if value, err := step.Call.Brane.Decode(record.Result); err == nil { // the agent commits only valid results
			result.Value = value
		}
	}
	return result
}

// Recall reads the result of a run that has succeeded from its commits alone, without the cluster. If commits are gone, the error wraps [files.ErrGone]. Recall and Keep
// use only the fields ID, Graph and Redis of the Run.
func (r *Run) Recall(ctx context.Context) (Result, error) {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return Result{}, err
	}
	records, err := store.Commits(ctx, r.Graph.order)
	if err != nil {
		return Result{}, fmt.Errorf("read the commits of run %q: %w", r.ID, err)
	}
	failures, err := r.standing(ctx, store)
	if err != nil {
		return Result{}, err
	}
	result, optional := Result{Steps: map[string]StepResult{}}, r.Graph.optional()
	for _, name := range r.Graph.order {
		record, found := records[name]
		if failure := failures[name]; !found && failure != nil {
			result.add(failure, true)
			continue
		}
		if !found && optional[name] && len(records) > 0 {
			result.Steps[name] = StepResult{Status: Skipped}
			continue
		}
		if !found {
			return Result{}, fmt.Errorf("the commit of step %q of run %q %w", name, r.ID, files.ErrGone)
		}
		result.Steps[name] = succeeded(r.Graph.steps[name], record)
	}
	return result, result.count(ctx, store, r.Graph)
}

// Recount adds to a result which steps are committed by now, and the results of calls of packages. It uses only the fields ID, Graph and Redis of the Run.
func (r *Run) Recount(ctx context.Context, result *Result) error {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return err
	}
	records, err := store.Commits(ctx, r.Graph.order)
	if err != nil {
		return fmt.Errorf("read the commits of run %q: %w", r.ID, err)
	}
	if result.Steps == nil {
		result.Steps = map[string]StepResult{}
	}
	for name, record := range records {
		result.Steps[name] = succeeded(r.Graph.steps[name], record)
	}
	return result.count(ctx, store, r.Graph)
}
