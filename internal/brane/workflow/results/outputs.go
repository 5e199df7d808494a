package results

import (
	"context"
	"fmt"
	"slices"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Outputs are files of a run by their paths, with the content of those that are not larger than a limit.
type Outputs map[string]files.Loaded

// TakeOutputs selects the declared outputs from the files of a run that has succeeded, keeps them in Redis beyond the run's retention, and
// returns them. It reads each file once. A path that no step has written is a [files.MissingError]; a path that two parallel steps have
// written with different content is a [files.ConflictError]. A path that a fan-out step without indexes would have written is left out, and
// if there is no other, the layer is empty.
func (s *Store) TakeOutputs(ctx context.Context, result workflow.Result, paths []string, limit int64) (files.Layer, Outputs, error) {
	tree, err := s.readTree(ctx, result, paths)
	if err != nil {
		return "", nil, err
	}
	if paths = s.omitUnwritten(tree, paths); len(paths) == 0 {
		return "", Outputs{}, nil
	}
	layer, loaded, err := s.files.Keep(ctx, paths, tree, limit)
	if err != nil {
		return "", nil, err
	}
	outputs := Outputs{}
	for _, file := range loaded {
		outputs[file.Path] = file
	}
	return layer, outputs, nil
}

// PeekOutputs returns the outputs like [Store.TakeOutputs], but does not keep them beyond the run's retention.
func (s *Store) PeekOutputs(ctx context.Context, result workflow.Result, paths []string, limit int64) (Outputs, error) {
	tree, err := s.readTree(ctx, result, paths)
	if err != nil {
		return nil, err
	}
	return s.loadOutputs(ctx, tree, paths, limit)
}

// ReadOutputs returns the outputs that were kept in this layer.
func (s *Store) ReadOutputs(ctx context.Context, layer files.Layer, paths []string, limit int64) (Outputs, error) {
	tree, err := s.files.Tree(ctx, layer)
	if err != nil {
		return nil, err
	}
	return s.loadOutputs(ctx, tree, paths, limit)
}

// loadOutputs reads the files at these paths of a tree.
func (s *Store) loadOutputs(ctx context.Context, tree files.Tree, paths []string, limit int64) (Outputs, error) {
	entries, err := tree.Pick(s.omitUnwritten(tree, paths))
	if err != nil {
		return nil, err
	}
	outputs := Outputs{}
	for _, entry := range entries {
		if outputs[entry.Path], err = s.files.Load(ctx, entry, limit); err != nil {
			return nil, fmt.Errorf("read output %q: %w", entry.Path, err)
		}
	}
	return outputs, nil
}

// omitUnwritten returns the paths without those that do not exist because a fan-out step that may write them has no indexes.
func (s *Store) omitUnwritten(tree files.Tree, paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
		_, isWritten := tree.Resolve(path)
		return !isWritten && s.graph.IsWrittenByEmptyStep(path)
	})
}

// readTree returns the merged files of the run. The files in paths must not conflict, nor the links that lead to them.
func (s *Store) readTree(ctx context.Context, result workflow.Result, paths []string) (files.Tree, error) {
	var parents []files.Parent
	leaves, ancestry := s.graph.Leaves(func(step string) bool { return result.Steps[step].Status != workflow.Succeeded })
	for _, name := range leaves {
		tree, err := s.files.Tree(ctx, result.Steps[name].Layer)
		if err != nil {
			return files.Tree{}, fmt.Errorf("read the files of step %q: %w", name, err)
		}
		parents = append(parents, files.Parent{Step: name, Tree: tree})
	}
	tree, conflicts := files.Union(parents, ancestry)
	wanted := map[string]bool{}
	for _, path := range paths {
		for _, decisive := range tree.TracePath(path) {
			wanted[decisive] = true
		}
	}
	for _, conflict := range conflicts {
		if wanted[conflict.Path] { // other paths may conflict
			return files.Tree{}, &files.ConflictError{Conflicts: []files.Conflict{conflict}}
		}
	}
	return tree, nil
}
