package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Ancestry lists the direct needs of each step. The inputs precede every step.
type Ancestry map[string][]string

// Parent is a step and the tree that it left. The inputs are the parent without a name.
type Parent struct {
	Step string
	Tree Tree
}

// Conflict means that two steps left different content at one path, and neither had seen the other's.
type Conflict struct{ Path, One, Other string }

// ConflictError reports conflicts.
type ConflictError struct{ Conflicts []Conflict }

func (e *ConflictError) Error() string {
	if len(e.Conflicts) == 0 {
		return "no conflict"
	}
	c := e.Conflicts[0]
	text := fmt.Sprintf("steps %q and %q wrote different content to %q", c.One, c.Other, c.Path)
	if more := len(e.Conflicts) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more paths conflict)", more)
	}
	return text
}

// Union returns the tree that a step with these parents sees. Of two versions of a path, the version of the later step wins, if one step is
// a descendant of the other. A path that a parent or one of its ancestors removed, after it had seen it, stays removed. All other
// differences are conflicts, sorted by path; the tree then has the first version.
func Union(parents []Parent, graph Ancestry) (Tree, []Conflict) {
	if len(parents) == 1 {
		return parents[0].Tree, nil
	}
	open := func() *merge {
		m := &merge{seen: seen{graph, map[string]map[string]bool{}}}
		for _, p := range parents {
			m.parents = append(m.parents, parent{step: p.Step, rest: &Tree{p.Tree.entries}})
		}
		return m
	}
	found, _ := open().findConflicts() // reading a tree cannot fail
	var union Tree
	_ = open().writeUnion(found.wanted, func(e *Entry) error { // see above
		union.entries = append(union.entries, e)
		return nil
	})
	return union, found.conflicts
}

// Union stores the [Union] of these layers. The memory that it needs does not grow with the number of files. The error is a [ConflictError]
// if they conflict. A single layer is its own union; its content is not known then, as it is not read.
func (s *Store) Union(ctx context.Context, layers map[string]Layer, graph Ancestry) (Stored, error) {
	if len(layers) == 1 {
		for _, layer := range layers {
			return Stored{Layer: layer}, nil
		}
	}
	var found findings
	err := s.mergeLayers(ctx, layers, graph, func(m *merge) (err error) {
		found, err = m.findConflicts()
		return err
	})
	if err != nil {
		return Stored{}, err
	}
	if found.conflicts != nil {
		return Stored{}, &ConflictError{found.conflicts}
	}
	stored, _, err := s.putEntries(ctx, func(ctx context.Context, add func(*Entry) error) error {
		return s.mergeLayers(ctx, layers, graph, func(m *merge) error { return m.writeUnion(found.wanted, add) })
	})
	return stored, err
}

// MergeNeeds returns the tree that a step with these needs starts with: the union of their layers, or the inputs of the run if there are
// none, whose content is not known. commits are those of the needs.
func (s *Store) MergeNeeds(ctx context.Context, needs []string, commits map[string]Record, graph Ancestry) (Stored, error) {
	if len(needs) == 0 {
		layer, err := s.Input(ctx)
		return Stored{Layer: layer}, err
	}
	layers := map[string]Layer{}
	for _, need := range needs {
		record, found := commits[need]
		if !found {
			return Stored{}, fmt.Errorf("the commit of step %q, which this step needs, %w", need, ErrGone)
		}
		layers[need] = record.Layer
	}
	if len(needs) == 1 {
		record := commits[needs[0]]
		return Stored{record.Layer, record.Content}, nil
	}
	stored, err := s.Union(ctx, layers, graph)
	if err != nil {
		return Stored{}, fmt.Errorf("merge the files of the needed steps: %w", err)
	}
	return stored, nil
}

// mergeLayers opens layers for reading them in step.
func (s *Store) mergeLayers(ctx context.Context, layers map[string]Layer, graph Ancestry, use func(*merge) error) error {
	m := &merge{seen: seen{graph, map[string]map[string]bool{}}}
	for step, layer := range layers {
		from, err := s.openEntries(ctx, layer)
		if err != nil {
			return fmt.Errorf("files of step %q: %w", step, err)
		}
		m.parents = append(m.parents, parent{step: step, rest: from})
	}
	return use(m)
}

// merge iterates over all parents in step, in the order of paths.
type merge struct {
	parents []parent
	seen    seen
}

// parent is the unread part of the files of a step.
type parent struct {
	step string
	now  *Entry // the next entry; nil before the first and after the last
	rest entries
}

// readNext reads the next entry.
func (p *parent) readNext() (err error) {
	if p.now, err = p.rest.next(); errors.Is(err, errEnd) {
		return nil
	} else if err != nil {
		return fmt.Errorf("files of step %q: %w", p.step, err)
	}
	return nil
}

// resolvedPath is the result for one path.
type resolvedPath struct {
	*Entry
	removed  bool
	conflict *Conflict
}

// forEachPath calls take with the result for each path, in order.
func (m *merge) forEachPath(take func(resolvedPath) error) error {
	slices.SortFunc(m.parents, func(a, b parent) int { return cmp.Compare(a.step, b.step) })
	for i := range m.parents {
		if err := m.parents[i].readNext(); err != nil {
			return err
		}
	}
	var versions []*Entry
	for {
		var first *Entry
		for _, p := range m.parents {
			if p.now != nil && (first == nil || p.now.Path < first.Path) {
				first = p.now
			}
		}
		if first == nil {
			return nil
		}
		versions = versions[:0]
		for _, p := range m.parents {
			if p.now != nil && p.now.Path == first.Path {
				versions = append(versions, p.now)
			}
		}
		var here resolvedPath
		here.Entry, here.conflict = m.chooseVersion(versions)
		for i := range m.parents {
			p := &m.parents[i]
			if p.now == nil || p.now.Path != first.Path {
				here.removed = here.removed || m.seen.hasSeen(p.step, here.By)
			} else if err := p.readNext(); err != nil {
				return err
			}
		}
		if err := take(here); err != nil {
			return err
		}
	}
}

// findings is what is known only after all parents were read.
type findings struct {
	wanted    map[string]bool // removed directories in which another parent created something
	conflicts []Conflict
}

// openEntry is an entry that may contain later ones, as in order.
type openEntry struct {
	path, by       string
	isDir, removed bool
}

func (m *merge) findConflicts() (found findings, err error) {
	found.wanted = map[string]bool{}
	var above []openEntry
	err = m.forEachPath(func(e resolvedPath) error {
		if e.conflict != nil {
			found.conflicts = append(found.conflicts, *e.conflict)
		}
		for len(above) > 0 && !strings.HasPrefix(e.Path, above[len(above)-1].path) {
			above = above[:len(above)-1]
		}
		for i := range above {
			a := &above[i]
			switch {
			case e.removed || !strings.HasPrefix(e.Path[len(a.path):], "/"):
			case a.removed:
				found.wanted[a.path], a.removed = true, false
			case !a.isDir: // a file of one parent is a directory of another
				found.conflicts = append(found.conflicts, conflictOf(a.path, a.by, e.By))
				a.isDir = true // report it once
			}
		}
		if !e.removed || e.Mode.IsDir() {
			above = append(above, openEntry{e.Path, e.By, e.Mode.IsDir(), e.removed})
		}
		return nil
	})
	slices.SortStableFunc(found.conflicts, func(a, b Conflict) int { return cmp.Compare(a.Path, b.Path) })
	return found, err
}

func (m *merge) writeUnion(wanted map[string]bool, add func(*Entry) error) error {
	return m.forEachPath(func(e resolvedPath) error {
		if e.removed && !wanted[e.Path] {
			return nil
		}
		return add(e.Entry)
	})
}

// chooseVersion returns the version that wins over all others, or a conflict.
func (m *merge) chooseVersion(versions []*Entry) (best *Entry, conflict *Conflict) {
	best = versions[0]
	for _, v := range versions[1:] {
		if v.By != best.By && m.seen.hasSeen(v.By, best.By) {
			best = v
		}
	}
	for _, v := range versions {
		if !v.sameContent(*best) && !m.seen.hasSeen(best.By, v.By) {
			c := conflictOf(best.Path, best.By, v.By)
			return best, &c
		}
	}
	return best, nil
}

func conflictOf(path, one, other string) Conflict {
	return Conflict{path, min(one, other), max(one, other)}
}

// seen knows which steps have seen the files of which others.
type seen struct {
	graph Ancestry
	known map[string]map[string]bool
}

// hasSeen reports whether step has seen what writer wrote: it is the writer, descends from it, or the writer is the input. One index of a
// fan-out step, as "fan.3", is part of its step, which has seen all indexes; the indexes have not seen each other.
func (s seen) hasSeen(step, writer string) bool {
	if writer == "" || step == writer {
		return true
	}
	whole, _, one := strings.Cut(step, ".")
	of, _, _ := strings.Cut(writer, ".")
	if whole == of {
		return !one
	}
	return step != "" && s.ancestorsOf(whole)[of]
}

func (s seen) ancestorsOf(step string) map[string]bool {
	if all, found := s.known[step]; found {
		return all
	}
	all := map[string]bool{}
	s.known[step] = all
	for rest := slices.Clone(s.graph[step]); len(rest) > 0; {
		next := rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		if !all[next] {
			all[next] = true
			rest = append(rest, s.graph[next]...)
		}
	}
	return all
}
