package files

import (
	"context"
	"fmt"
	"path"
	"slices"
)

// Rebase stores the tree that a step would have left if it had started with the layer to. result is what it left when it started with the layer
// from. The two look the same to the step: they differ only in what it does not see, in the steps that wrote their entries, or in the places of
// their files in chunks. Only manifests are read and written.
func (s *Store) Rebase(ctx context.Context, result, from, to Layer) (Stored, error) {
	var trees [3]Tree
	for i, layer := range []Layer{result, from, to} {
		var err error
		if trees[i], err = s.Tree(ctx, layer); err != nil {
			return Stored{}, fmt.Errorf("carry over the changes of a step: %w", err)
		}
	}
	rebased, err := rebaseTree(trees[0], trees[1], trees[2])
	if err != nil {
		return Stored{}, fmt.Errorf("carry over the changes of a step: %w", err)
	}
	stored, _, err := s.putManifest(ctx, rebased)
	if err != nil {
		return Stored{}, fmt.Errorf("carry over the changes of a step: store the list of files: %w", err)
	}
	return stored, nil
}

// rebaseTree returns the tree to with the changes that lead from the tree from to result.
func rebaseTree(result, from, to Tree) (Tree, error) {
	all := make(map[string]*Entry, len(to.entries))
	for _, e := range to.entries {
		all[e.Path] = e
	}
	for _, e := range from.entries {
		if _, found := result.findEntry(e.Path); !found {
			delete(all, e.Path)
		}
	}
	for _, e := range result.entries {
		if i, found := from.findEntry(e.Path); !found || !e.equals(from.entries[i]) {
			all[e.Path] = e
			addDirectoriesAbove(all, e.Path, result)
		}
	}
	rebased := make([]*Entry, 0, len(all))
	for _, e := range all {
		rebased = append(rebased, e)
	}
	slices.SortFunc(rebased, byPath)
	return treeOf(dropBelowFiles(rebased))
}

// addDirectoriesAbove replaces what is above a path and is not a directory by the directory of result.
func addDirectoriesAbove(all map[string]*Entry, name string, result Tree) {
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if e := all[parent]; e != nil && e.Mode.IsDir() {
			continue
		}
		delete(all, parent)
		if i, found := result.findEntry(parent); found {
			all[parent] = result.entries[i]
		}
	}
}

// dropBelowFiles drops the entries below others that are not directories.
func dropBelowFiles(entries []*Entry) []*Entry {
	var o order
	return slices.DeleteFunc(entries, func(e *Entry) bool {
		if o.findFileAbove(e.Path) != "" {
			return true
		}
		o.addEntry(e)
		return false
	})
}
