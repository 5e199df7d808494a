package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// A fan-out step is one Indexed Job. The pod of each index commits by itself, for example as "fan.3". When all indexes are committed, their
// trees are merged and committed under the name of the step, which is then a step like any other.

// indexMerger reads commits, and creates the commits of fan-out steps.
type indexMerger struct {
	graph   workflow.Graph
	store   *files.Store
	reuser  *reuser
	indexes map[string]files.Record // commits of indexes, as far as they are known
	known   map[string]int          // their number for each step
}

func newIndexMerger(graph workflow.Graph, store *files.Store, reuser *reuser) *indexMerger {
	return &indexMerger{graph, store, reuser, map[string]files.Record{}, map[string]int{}}
}

// listUnknown returns a step and those of its indexes whose commits are not known.
func (m *indexMerger) listUnknown(step string) []string {
	names := []string{step}
	for _, index := range m.graph.Step(step).IndexKeys() {
		if _, isKnown := m.indexes[index]; !isKnown {
			names = append(names, index)
		}
	}
	return names
}

// readCommits reads the commits of steps and indexes, and returns those of steps. starts has what each of the steps starts with, hasNoFiles reports
// whether a step has ended without files, isOwn whether a commit was created in this execution. The conflicts are of fan-out steps whose indexes
// are all committed, but whose files cannot be merged.
func (m *indexMerger) readCommits(
	ctx context.Context, names []string, starts map[string]stepStart, hasNoFiles func(step string) bool, isOwn func(step string, record files.Record) bool,
) (records map[string]files.Record, conflicts map[string]*files.ConflictError, err error) {
	found, err := m.readUsable(ctx, names, starts, isOwn)
	if err != nil {
		return nil, nil, err
	}
	records, conflicts = map[string]files.Record{}, map[string]*files.ConflictError{}
	steps := map[string]bool{}
	for _, name := range names {
		step, _, isIndex := strings.Cut(name, ".")
		steps[step] = true
		record, isCommitted := found[name]
		switch _, isKnown := m.indexes[name]; {
		case !isCommitted:
		case !isIndex:
			records[step] = record
		case !isKnown:
			m.indexes[name] = record
			m.known[step]++
		}
	}
	for name := range steps {
		step := m.graph.Step(name)
		if _, isCommitted := records[name]; isCommitted || step.IsEmpty || !step.IsIndexed() || m.known[name] < step.Completions {
			continue
		}
		record, conflict, err := m.mergeIndexes(ctx, step, starts[name], m.graph.Ancestry(name, hasNoFiles))
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

// readUsable reads commits, and returns those that can be used.
func (m *indexMerger) readUsable(
	ctx context.Context, names []string, starts map[string]stepStart, isOwn func(step string, record files.Record) bool,
) (map[string]files.Record, error) {
	fingerprints := map[string]files.Fingerprint{}
	for _, name := range names {
		step, _, _ := strings.Cut(name, ".")
		fingerprints[name] = starts[step].keyOf(name).Fingerprint
	}
	found, err := m.store.Commits(ctx, fingerprints)
	if err != nil {
		return nil, err
	}
	ofSteps := map[string]map[string]files.Record{}
	for name, record := range found {
		step, _, _ := strings.Cut(name, ".")
		if ofSteps[step] == nil {
			ofSteps[step] = map[string]files.Record{}
		}
		ofSteps[step][name] = record
	}
	usable := map[string]files.Record{}
	for step, records := range ofSteps {
		taken, err := m.reuser.takeCommits(ctx, starts[step], records, func(record files.Record) bool { return isOwn(step, record) })
		if err != nil {
			return nil, err
		}
		maps.Copy(usable, taken)
	}
	return usable, nil
}

// isIndexCommitted reports whether the commit of an index is known.
func (m *indexMerger) isIndexCommitted(step string, index int) bool {
	_, found := m.indexes[workflow.IndexKey(step, index)]
	return found
}

// mergeIndexes commits a fan-out step whose indexes are all committed. Two processes that do so concurrently create the same layer, and the
// first commit is used.
func (m *indexMerger) mergeIndexes(
	ctx context.Context, step workflow.Step, start stepStart, ancestry files.Ancestry,
) (files.Record, *files.ConflictError, error) {
	first, record := files.Record{}, files.Record{Base: start.Layer}
	var layers []indexLayer
	isListed := map[files.Layer]bool{}
	for _, index := range step.IndexKeys() {
		of := m.indexes[index]
		if record.Started.IsZero() || of.Started.Before(record.Started) {
			record.Started = of.Started
		}
		if of.Ended.After(record.Ended) {
			record.Ended = of.Ended
		}
		record.Attempt = max(record.Attempt, of.Attempt)
		if !isListed[of.Layer] { // indexes that have written nothing have the same layer
			isListed[of.Layer] = true
			layers = append(layers, indexLayer{index, files.Stored{Layer: of.Layer, Content: of.Content}})
		}
	}
	err := files.Again(func() error {
		merged, err := m.mergeLayers(ctx, layers, ancestry)
		if err == nil {
			record.Layer, record.Content = merged.Layer, merged.Content
			first, _, err = m.store.Commit(ctx, start.keyOf(step.Name), record)
		}
		return err
	})
	if conflict := (*files.ConflictError)(nil); errors.As(err, &conflict) {
		return files.Record{}, conflict, nil
	}
	return first, nil, err
}

// indexLayer is the layer of an index.
type indexLayer struct {
	index string
	files.Stored
}

// layersAtOnce is how many layers are read concurrently. Each reader needs about 100 KiB.
const layersAtOnce = 64

// mergeLayers merges the layers of indexes in groups, and the results again, so that the memory does not grow with their number. The groups
// do not change the result: no index has seen what another has written, so the files of a group are merged like those of one index. They are
// in the order of the merge, in which the first of two equal versions is used.
func (m *indexMerger) mergeLayers(ctx context.Context, layers []indexLayer, ancestry files.Ancestry) (files.Stored, error) {
	layers = slices.SortedFunc(slices.Values(layers), func(a, b indexLayer) int { return strings.Compare(a.index, b.index) })
	for len(layers) > 1 {
		var merged []indexLayer
		for group := range slices.Chunk(layers, layersAtOnce) {
			if len(group) == 1 {
				merged = append(merged, group[0])
				continue
			}
			parents := map[string]files.Layer{}
			for _, parent := range group {
				parents[parent.index] = parent.Layer
			}
			stored, err := m.store.Union(ctx, parents, ancestry)
			if err != nil {
				return files.Stored{}, err
			}
			merged = append(merged, indexLayer{group[0].index, stored})
		}
		layers = merged
	}
	return layers[0].Stored, nil
}

// commitEmptyStep commits a fan-out step without indexes: it passes on the files that it starts with.
func (m *indexMerger) commitEmptyStep(ctx context.Context, step string, start stepStart) (files.Record, error) {
	var first files.Record
	err := files.Again(func() (err error) {
		record := files.Record{Layer: start.Layer, Content: start.Content, Base: start.Layer}
		first, _, err = m.store.Commit(ctx, start.keyOf(step), record)
		return err
	})
	return first, err
}
