package workflow

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// A step can be many: one Indexed Job, each of whose pods commits for itself, as "fan.3". When all have, their trees together are the step's, which the engine
// commits under the step's own name: from then on it is a step like any other.

// many says whether the step is many.
func (s Step) many() bool { return s.Completions > 0 }

// parts are the names under which the many commit.
func (s Step) parts() []string {
	names := make([]string, s.Completions)
	for i := range names {
		names[i] = fmt.Sprintf("%s.%d", s.Name, i)
	}
	return names
}

// Part is what became of one of the many.
type Part struct {
	Committed bool
	Started   time.Time // of its program, where it is committed
	Ended     time.Time
	Attempts  int // how often its program was begun
}

// Parts are those of a step, by their indices; none where the step is not many. It needs no more of a Run than ID, Graph and Redis.
func (r *Run) Parts(ctx context.Context, step string) ([]Part, error) {
	names := r.Graph.steps[step].parts()
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

// gatherer reads commits, and makes those of the steps that are many.
type gatherer struct {
	graph Graph
	store *files.Store
	parts map[string]files.Record // of the many, as far as they are known
}

// commits are the commits of those steps that have one. nothing says of a step whether it is over without files. The conflicts are of steps that are many,
// all committed, and cannot be brought together.
func (g *gatherer) commits(ctx context.Context, steps []string, nothing func(step string) bool) (records map[string]files.Record, conflicts map[string]*files.ConflictError, err error) {
	var keys []string
	for _, name := range steps {
		keys = append(keys, name)
		for _, part := range g.graph.steps[name].parts() {
			if _, known := g.parts[part]; !known {
				keys = append(keys, part)
			}
		}
	}
	found, err := g.store.Commits(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	records, conflicts = map[string]files.Record{}, map[string]*files.ConflictError{}
	for _, name := range steps {
		step := g.graph.steps[name]
		if record, committed := found[name]; committed {
			records[name] = record
			continue
		}
		complete := step.many()
		for _, part := range step.parts() {
			if record, committed := found[part]; committed {
				g.parts[part] = record
			}
			_, committed := g.parts[part]
			complete = complete && committed
		}
		if !complete {
			continue
		}
		record, conflict, err := g.gather(ctx, step, g.graph.ancestry(name, nothing))
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("merge the files of the %d indexes of step %q: %w", step.Completions, name, err)
		case conflict != nil:
			conflicts[name] = conflict
		default:
			records[name] = record
		}
	}
	return records, conflicts, nil
}

// gather commits a step all of whose parts are committed. Two engines that do so at once come to the same layer, and the first commit stands.
func (g *gatherer) gather(ctx context.Context, step Step, ancestry files.Ancestry) (files.Record, *files.ConflictError, error) {
	parents := make([]files.Parent, step.Completions)
	var record files.Record
	readers, reading := errgroup.WithContext(ctx)
	readers.SetLimit(8) // enough to hide a far Redis' latency, few enough for its connections
	for i, part := range step.parts() {
		of := g.parts[part]
		if record.Started.IsZero() || of.Started.Before(record.Started) {
			record.Started = of.Started
		}
		if of.Ended.After(record.Ended) {
			record.Ended = of.Ended
		}
		record.Attempt = max(record.Attempt, of.Attempt)
		readers.Go(func() error {
			tree, err := g.store.Tree(reading, of.Layer)
			parents[i] = files.Parent{Step: part, Tree: tree}
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		return files.Record{}, nil, err
	}
	tree, conflicts := files.Union(parents, ancestry)
	if len(conflicts) > 0 {
		return files.Record{}, &files.ConflictError{Conflicts: conflicts}, nil
	}
	var first files.Record
	err := files.Again(func() (err error) {
		if record.Layer, err = g.store.PutTree(ctx, tree); err == nil {
			first, _, err = g.store.Commit(ctx, step.Name, record)
		}
		return err
	})
	return first, nil, err
}
