package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Result is what became of a run that came to its end.
type Result struct {
	Steps    map[string]StepResult
	Failures []*Failure // none when the run has succeeded
	Allowed  []*Failure // of steps whose failure is allowed
}

// Status is how the run stands after an Execute that ended with this error.
func (r Result) Status(err error) RunStatus {
	switch {
	case err != nil:
		return RunStopped
	case len(r.Failures) > 0:
		return RunFailed
	}
	return RunSucceeded
}

// RunStatus is how a run stands.
type RunStatus string

// How a run can stand.
const (
	RunRunning   RunStatus = "running"
	RunSucceeded RunStatus = "succeeded"
	RunFailed    RunStatus = "failed"
	RunStopped   RunStatus = "stopped" // it could not be carried on, or was interrupted
)

// StepResult is what became of one step.
type StepResult struct {
	Status   StepStatus
	Code     int       // exit code of the program; 0 unless the step has failed by one
	Started  time.Time // of the program; the last attempt's where there were several
	Ended    time.Time
	Attempts int            // how often its program was begun, by all Executes of the run; of a step that is many, by the part that was begun most often
	Layer    files.Layer    // the tree that a committed step left
	Value    branelet.Value `json:"-"` // the result of its call, which its commit holds; nil where it calls no package
}

// StepStatus is how a step ended.
type StepStatus string

// How a step can end.
const (
	Succeeded StepStatus = "succeeded"
	Failed    StepStatus = "failed"
	Stopped   StepStatus = "stopped" // was running when another step failed
	Skipped   StepStatus = "skipped" // was not started
)

// result is what became of the run so far.
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
		case failed: // told with its failure
		}
	}
	for _, failure := range l.failures {
		result.add(failure, l.Graph.steps[failure.Step].AllowFailure)
	}
	// It is told after Ctrl-C too, so it has a short time of its own.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer done()
	if err := result.count(ctx, l.store, l.Graph); err != nil {
		l.observe(Event{Kind: RunDisturbed, Detail: err.Error()})
	}
	return result
}

// add takes in how a step has failed.
func (r *Result) add(failure *Failure, isAllowed bool) {
	r.Steps[failure.Step] = StepResult{Status: Failed, Code: failure.Code, Started: failure.Started, Ended: failure.Ended}
	if isAllowed {
		r.Allowed = append(r.Allowed, failure)
	} else {
		r.Failures = append(r.Failures, failure)
	}
}

// count fills in how often the program of each step was begun. Agents note that in Redis, where it outlives Jobs, pods and whoever carried the run on.
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
			step.Attempts = max(step.Attempts, 1) // an agent that could not note it has run it all the same
		}
		r.Steps[name] = step
	}
	return err
}

func succeeded(step Step, record files.Record) StepResult {
	result := StepResult{Status: Succeeded, Started: record.Started, Ended: record.Ended, Layer: record.Layer}
	if step.Call != nil {
		if value, err := step.Call.Brane.Decode(record.Result); err == nil { // the agent commits nothing else
			result.Value = value
		}
	}
	return result
}

// Recall is the result of a run that has succeeded, read from its commits alone: nothing is made in the cluster, nothing runs. Where commits are gone the
// error wraps [files.ErrGone]. Recall and Keep need no more of a Run than ID, Graph and Redis.
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

// Recount completes a result with what the commits say: which steps are committed by now, and what calls of packages gave. It needs no more of a Run than ID,
// Graph and Redis.
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
