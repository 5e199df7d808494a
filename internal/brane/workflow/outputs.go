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
	store, err := r.open()
	if err != nil {
		return "", err
	}
	var parents []files.Parent
	for _, name := range r.Graph.leaves() {
		tree, err := store.Tree(ctx, result.Steps[name].Layer)
		if err != nil {
			return "", fmt.Errorf("read what step %q left: %w", name, err)
		}
		parents = append(parents, files.Parent{Step: name, Tree: tree})
	}
	tree, conflicts := files.Union(parents, r.Graph.needs())
	wanted := map[string]bool{}
	for _, path := range paths {
		wanted[path] = true
	}
	for _, conflict := range conflicts {
		if wanted[conflict.Path] { // what nobody asks for may differ
			return "", &files.ConflictError{Conflicts: []files.Conflict{conflict}}
		}
	}
	return store.Keep(ctx, paths, tree)
}

// Files opens the store of a run that is over, to read its outputs or to delete it.
func Files(r redis.UniversalClient, id string) (*files.Store, error) {
	// Nothing is written through it; the deadline is for writers.
	return files.Open(files.Config{Redis: r, Run: id, Deadline: time.Now().Add(time.Hour)})
}
