package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Keep takes the declared outputs out of what the steps left, and keeps them in Redis beyond the run's retention. A path that no step left is a
// [files.MissingError]; one that two parallel steps left differently is a [files.ConflictError].
func (r *Run) Keep(ctx context.Context, result Result, paths []string) (files.Layer, error) {
	store, tree, err := r.left(ctx, result, paths)
	if err != nil {
		return "", err
	}
	return store.Keep(ctx, paths, tree)
}

// Left finds outputs as [Run.Keep] does, by their paths, but keeps them no longer than the run's retention.
func (r *Run) Left(ctx context.Context, result Result, paths []string) (map[string]files.Entry, error) {
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

// left is what the run has left as a whole. Of the files in paths there must be one version each.
func (r *Run) left(ctx context.Context, result Result, paths []string) (*files.Store, files.Tree, error) {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return nil, files.Tree{}, err
	}
	var parents []files.Parent
	leaves, ancestry := r.Graph.leaves(func(step string) bool { return result.Steps[step].Status != Succeeded })
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
		if wanted[conflict.Path] { // what nobody asks for may differ
			return nil, files.Tree{}, &files.ConflictError{Conflicts: []files.Conflict{conflict}}
		}
	}
	return store, tree, nil
}

// Files opens the store of a run that is over, to read its outputs, to keep them or to delete it.
func Files(r redis.UniversalClient, id string) (*files.Store, error) {
	// What is written through it is kept for good in the end; the deadline is for what an interrupted Keep leaves.
	return files.Open(files.Config{Redis: r, Run: id, Deadline: time.Now().Add(24 * time.Hour)})
}
