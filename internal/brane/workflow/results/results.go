// Package results reads what a run has stored in Redis: which steps are committed, what their calls have returned, and its outputs. That
// needs no cluster, so the results of a run can be read when its Jobs, or its cluster, are gone; the engine, which has a cluster, uses the
// same functions for its own run.
package results

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Store has the results of one run. It is opened once for all operations on the run.
type Store struct {
	id    string
	graph workflow.Graph
	files *files.Store
}

// Open opens the results of a run. It does not connect.
func Open(client redis.UniversalClient, id string, graph workflow.Graph) (*Store, error) {
	store, err := OpenFiles(client, id)
	if err != nil {
		return nil, err
	}
	return &Store{id, graph, store}, nil
}

// OpenFiles opens the files of a run that has ended, to read, keep or delete them.
func OpenFiles(client redis.UniversalClient, id string) (*files.Store, error) {
	// The deadline applies to what an interrupted Keep has written; everything else that is written through the store is kept permanently.
	return openUntil(client, id, 24*time.Hour)
}

func openUntil(client redis.UniversalClient, id string, after time.Duration) (*files.Store, error) {
	return files.Open(files.Config{Redis: client, Run: id, Deadline: time.Now().Add(after)})
}

// Limit lets all files of a run, also its outputs, expire after a time.
func Limit(ctx context.Context, client redis.UniversalClient, id string, after time.Duration) error {
	store, err := openUntil(client, id, after)
	if err != nil {
		return err
	}
	return store.LimitKeys(ctx)
}

// Release lets outputs that were kept in a layer expire after a time, except for what other outputs need. other is empty if there are none.
func Release(ctx context.Context, client redis.UniversalClient, id string, layer, other files.Layer, after time.Duration) error {
	store, err := openUntil(client, id, after)
	if err != nil {
		return err
	}
	return store.Release(ctx, layer, other)
}

// ForExecution returns the results of the same run, for an execution of it: see [files.Store.ForExecution].
func (s *Store) ForExecution(deadline time.Time, returns bool, waiting files.Waiting) (*Store, error) {
	store, err := s.files.ForExecution(deadline, returns, waiting)
	if err != nil {
		return nil, err
	}
	return &Store{s.id, s.graph, store}, nil
}

// Files returns the files of the run.
func (s *Store) Files() *files.Store { return s.files }

// Load reads the result of a run that has succeeded from its commits alone. If commits are gone, the error wraps [files.ErrGone].
func (s *Store) Load(ctx context.Context) (workflow.Result, error) {
	fingerprints, records, err := s.readCommits(ctx)
	if err != nil {
		return workflow.Result{}, err
	}
	failures, err := s.AllowedFailures(ctx, fingerprints)
	if err != nil {
		return workflow.Result{}, err
	}
	result, optional := workflow.Result{Steps: map[string]workflow.StepResult{}}, s.graph.ListOptional()
	for _, name := range s.graph.Steps() {
		record, found := records[name]
		failure := failures[name]
		switch {
		case found: // a commit wins over an allowed failure that was stored before
			result.Steps[name] = s.newStepResult(name, record, fingerprints)
		case failure != nil:
			result.Steps[name] = workflow.StepResult{Fingerprint: fingerprints[name]}
			result.AddFailure(failure, true)
		case optional[name] && len(records) > 0:
			result.Steps[name] = workflow.StepResult{Status: workflow.Skipped}
		default:
			return workflow.Result{}, fmt.Errorf("the commit of step %q of run %q %w", name, s.id, files.ErrGone)
		}
	}
	return result, s.CountAttempts(ctx, &result)
}

func (s *Store) newStepResult(name string, record files.Record, fingerprints map[string]files.Fingerprint) workflow.StepResult {
	result := workflow.NewStepResult(s.graph.Step(name), record)
	result.Fingerprint = fingerprints[name]
	return result
}

// Refresh adds to a result which steps are committed by now, and the results of calls of packages.
func (s *Store) Refresh(ctx context.Context, result *workflow.Result) error {
	fingerprints, records, err := s.readCommits(ctx)
	if err != nil {
		return err
	}
	if result.Steps == nil {
		result.Steps = map[string]workflow.StepResult{}
	}
	for name, record := range records {
		found := s.newStepResult(name, record, fingerprints)
		found.Reused = result.Steps[name].Reused
		result.Steps[name] = found
	}
	return s.CountAttempts(ctx, result)
}

// readCommits returns the fingerprints of the steps in the latest execution, as far as they are known, and the commits of these.
func (s *Store) readCommits(ctx context.Context) (map[string]files.Fingerprint, map[string]files.Record, error) {
	fingerprints, err := s.files.Fingerprints(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the fingerprints of run %q: %w", s.id, err)
	}
	maps.DeleteFunc(fingerprints, func(step string, _ files.Fingerprint) bool { return !s.graph.HasStep(step) })
	records, err := s.files.Commits(ctx, fingerprints)
	if err != nil {
		return nil, nil, fmt.Errorf("read the commits of run %q: %w", s.id, err)
	}
	return fingerprints, records, nil
}

// FindGone returns the steps whose results the next execution does not find as they are, sorted: those that have succeeded and whose commit, or the list of whose
// files, does not exist any more, and those whose failure is allowed and is not stored any more, or was followed by a commit, which wins. It also returns in which
// layers the files of the others are by now.
func (s *Store) FindGone(ctx context.Context, steps map[string]workflow.StepResult) (gone []string, layers map[string]files.Layer, err error) {
	fingerprints, failed := map[string]files.Fingerprint{}, map[string]files.Fingerprint{}
	for name, step := range steps {
		hasFailed := step.Status == workflow.Failed && s.graph.Step(name).AllowFailure
		if hasFailed {
			failed[name] = step.Fingerprint
		}
		if hasFailed || step.Status == workflow.Succeeded {
			fingerprints[name] = step.Fingerprint
		}
	}
	if layers, err = s.files.FindStored(ctx, fingerprints); err != nil {
		return nil, nil, fmt.Errorf("look for the files of run %q: %w", s.id, err)
	}
	failures, err := s.AllowedFailures(ctx, failed)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(fingerprints)) {
		_, isStored := layers[name]
		if _, hasFailed := failed[name]; hasFailed {
			isStored = !isStored && failures[name] != nil
			delete(layers, name)
		}
		if !isStored {
			gone = append(gone, name)
		}
	}
	return gone, layers, nil
}

// CountAttempts sets how often the command of each step was started for its result. Agents count that in Redis, where it outlives Jobs, pods and
// earlier executions.
func (s *Store) CountAttempts(ctx context.Context, result *workflow.Result) error {
	keys := map[string]files.Fingerprint{}
	for name, step := range result.Steps {
		if step.Fingerprint == "" {
			continue // its command was not started
		}
		keys[name] = step.Fingerprint
		maps.Copy(keys, s.graph.Step(name).IndexFingerprints(step.Fingerprint.Seen()))
	}
	starts, err := s.files.Starts(ctx, keys)
	for name, step := range result.Steps {
		step.Attempts = starts[name]
		for _, index := range s.graph.Step(name).IndexKeys() {
			step.Attempts = max(step.Attempts, starts[index])
		}
		if step.Status == workflow.Succeeded && !s.graph.Step(name).IsEmpty {
			step.Attempts = max(step.Attempts, 1) // the agent may have failed to count it
		}
		result.Steps[name] = step
	}
	return err
}

// Index is the result of one index of a fan-out step.
type Index struct {
	IsCommitted bool
	Started     time.Time // of its command, if it is committed
	Ended       time.Time
	Attempts    int // how often its command was started
}

// Indexes returns the results of a step's indexes in their order; none if the step is not a fan-out step, or has no fingerprint.
func (s *Store) Indexes(ctx context.Context, step string, fingerprint files.Fingerprint) ([]Index, error) {
	keys := s.graph.Step(step).IndexKeys()
	if len(keys) == 0 || fingerprint == "" {
		return nil, nil
	}
	fingerprints := s.graph.Step(step).IndexFingerprints(fingerprint.Seen())
	records, err := s.files.Commits(ctx, fingerprints)
	if err != nil {
		return nil, fmt.Errorf("read the commits of the indexes of step %q: %w", step, err)
	}
	starts, err := s.files.Starts(ctx, fingerprints)
	if err != nil {
		return nil, err
	}
	indexes := make([]Index, len(keys))
	for i, key := range keys {
		record, isCommitted := records[key]
		indexes[i] = Index{isCommitted, record.Started, record.Ended, starts[key]}
	}
	return indexes, nil
}
