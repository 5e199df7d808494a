package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Keep selects the declared outputs from the files of the run, and keeps them in Redis beyond the run's retention. A path that no step has written is a
// [files.MissingError]; a path that two parallel steps have written with different content is a [files.ConflictError].
func (r *Run) Keep(ctx context.Context, result workflow.Result, paths []string) (files.Layer, error) {
	store, tree, err := r.left(ctx, result, paths)
	if err != nil {
		return "", err
	}
	return store.Keep(ctx, paths, tree)
}

// Left selects outputs by their paths, like [Run.Keep], but does not keep them beyond the run's retention.
func (r *Run) Left(ctx context.Context, result workflow.Result, paths []string) (map[string]files.Entry, error) {
	_, tree, err := r.left(ctx, result, paths)
	if err != nil {
		return nil, err
	}
	found, err := tree.Pick(paths)
	if err != nil {
		return nil, err
	}
	entries := map[string]files.Entry{}
	for _, entry := range found {
		entries[entry.Path] = entry
	}
	return entries, nil
}

// left returns the merged files of the run. The files in paths must not conflict.
func (r *Run) left(ctx context.Context, result workflow.Result, paths []string) (*files.Store, files.Tree, error) {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return nil, files.Tree{}, err
	}
	var parents []files.Parent
	leaves, ancestry := r.Graph.Leaves(func(step string) bool { return result.Steps[step].Status != workflow.Succeeded })
	for _, name := range leaves {
		tree, err := store.Tree(ctx, result.Steps[name].Layer)
		if err != nil {
			return nil, files.Tree{}, fmt.Errorf("read the files of step %q: %w", name, err)
		}
		parents = append(parents, files.Parent{Step: name, Tree: tree})
	}
	tree, conflicts := files.Union(parents, ancestry)
	wanted := map[string]bool{}
	for _, path := range paths {
		wanted[path] = true
	}
	for _, conflict := range conflicts {
		if wanted[conflict.Path] { // other paths may conflict
			return nil, files.Tree{}, &files.ConflictError{Conflicts: []files.Conflict{conflict}}
		}
	}
	return store, tree, nil
}

// Files opens the store of a run that has ended, to read or keep its outputs or to delete it.
func Files(r redis.UniversalClient, id string) (*files.Store, error) {
	// The deadline applies to what an interrupted Keep has written; everything else that is written through the store is kept permanently.
	return files.Open(files.Config{Redis: r, Run: id, Deadline: time.Now().Add(24 * time.Hour)})
}
