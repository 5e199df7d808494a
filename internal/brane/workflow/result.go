package workflow

import (
	"maps"
	"slices"
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

// Times returns when the first command started and the last one ended, of the steps that were run; if none was, of all.
func (r Result) Times() (first, last time.Time) {
	steps := slices.Collect(maps.Values(r.Steps))
	if slices.ContainsFunc(steps, func(step StepResult) bool { return !step.Reused && !step.Started.IsZero() }) {
		steps = slices.DeleteFunc(steps, func(step StepResult) bool { return step.Reused })
	}
	for _, step := range steps {
		if first.IsZero() || !step.Started.IsZero() && step.Started.Before(first) {
			first = step.Started
		}
		if step.Ended.After(last) {
			last = step.Ended
		}
	}
	return first, last
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
	Code     int         `json:",omitzero"` // exit code of the container; 0 unless the step has failed with one
	Started  time.Time   `json:",omitzero"` // of the command, in the last attempt
	Ended    time.Time   `json:",omitzero"`
	Attempts int         `json:",omitzero"` // how often its command was started, by all executions of the run; of a fan-out step, the maximum of its indexes
	Layer    files.Layer `json:",omitzero"` // the files of a committed step
	// Fingerprint identifies what has decided the result; empty if the needs of the step have not ended.
	Fingerprint files.Fingerprint `json:",omitzero"`
	Reused      bool              `json:",omitzero"` // it is the result of an earlier execution
	Value       branelet.Value    `json:"-"`         // the result of its call, which is part of the commit; nil if it calls no package
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

// AddFailure adds the failure of a step.
func (r *Result) AddFailure(failure *Failure, isAllowed bool) {
	r.Steps[failure.Step] = StepResult{
		Status: Failed, Code: failure.Code, Started: failure.Started, Ended: failure.Ended, Fingerprint: r.Steps[failure.Step].Fingerprint,
	}
	if failure.IsAllowed = isAllowed; isAllowed {
		r.Allowed = append(r.Allowed, failure)
	} else {
		r.Failures = append(r.Failures, failure)
	}
}

// NewStepResult returns the result of a step that is committed.
func NewStepResult(step Step, record files.Record) StepResult {
	result := StepResult{Status: Succeeded, Started: record.Started, Ended: record.Ended, Layer: record.Layer}
	if step.Call != nil {
		if value, err := step.Call.Brane.Decode(record.Result); err == nil { // the agent commits only valid results
			result.Value = value
		}
	}
	return result
}
