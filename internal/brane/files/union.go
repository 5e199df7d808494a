package files

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Ancestry says what each step needs directly. The inputs come before every step.
type Ancestry map[string][]string

// Parent is a step and the tree it left. The inputs are the parent with no name.
type Parent struct {
	Step string
	Tree Tree
}

// Conflict says that two steps left different things at one path, and neither had seen the other's.
type Conflict struct{ Path, One, Other string }

// ConflictError is the sentence about conflicts.
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

// Union is the tree that a step with these parents sees. Of two versions of a path, the one whose writer descends from the
// other's writer stands. A path that a parent's step or one of its ancestors removed, having seen it, stays removed.
// What is left are conflicts, sorted by path; the tree then has the first version.
func Union(parents []Parent, graph Ancestry) (Tree, []Conflict) {
	if len(parents) == 1 {
		return parents[0].Tree, nil
	}
	parents = slices.SortedFunc(slices.Values(parents), func(a, b Parent) int { return cmp.Compare(a.Step, b.Step) })
	m := &merge{parents: parents, seen: seen{graph, map[string]map[string]bool{}}, next: make([]int, len(parents))}
	for m.step() {
	}
	m.addFolders()
	m.checkFolders()
	slices.SortFunc(m.conflicts, func(a, b Conflict) int { return cmp.Compare(a.Path, b.Path) })
	return Tree{m.entries}, m.conflicts
}

// merge walks all parents' trees at once, path by path.
type merge struct {
	parents   []Parent
	seen      seen
	next      []int // the first entry of each parent that was not looked at
	entries   []*Entry
	dropped   map[string]*Entry // removed folders, wanted again where something new is in them
	conflicts []Conflict
}

// step decides the smallest path that is left.
func (m *merge) step() bool {
	name, found := m.smallest()
	if !found {
		return false
	}
	var versions []*Entry
	var absent []string
	for i, p := range m.parents {
		if at := m.next[i]; at < p.Tree.Len() && p.Tree.entries[at].Path == name {
			versions = append(versions, p.Tree.entries[at])
			m.next[i]++
		} else {
			absent = append(absent, p.Step)
		}
	}
	best, conflict := m.choose(versions)
	if conflict != nil {
		m.conflicts = append(m.conflicts, *conflict)
	}
	if slices.ContainsFunc(absent, func(step string) bool { return m.seen.by(step, best.By) }) {
		if best.Mode.IsDir() {
			if m.dropped == nil {
				m.dropped = map[string]*Entry{}
			}
			m.dropped[name] = best
		}
		return true
	}
	m.entries = append(m.entries, best)
	return true
}

func (m *merge) smallest() (name string, found bool) {
	for i, p := range m.parents {
		if at := m.next[i]; at < p.Tree.Len() {
			if candidate := p.Tree.entries[at].Path; !found || candidate < name {
				name, found = candidate, true
			}
		}
	}
	return name, found
}

// choose takes the version that stands over all others, or says which two do not agree.
func (m *merge) choose(versions []*Entry) (best *Entry, conflict *Conflict) {
	best = versions[0]
	for _, v := range versions[1:] {
		if v.By != best.By && m.seen.by(v.By, best.By) {
			best = v
		}
	}
	for _, v := range versions {
		if !v.sameContent(*best) && !m.seen.by(best.By, v.By) {
			one, other := best.By, v.By
			if other < one {
				one, other = other, one
			}
			return best, &Conflict{best.Path, one, other}
		}
	}
	return best, nil
}

// addFolders brings removed folders back that another parent has put something new into.
func (m *merge) addFolders() {
	if len(m.dropped) == 0 {
		return
	}
	var back []*Entry
	for _, e := range m.entries {
		for parent := path.Dir(e.Path); parent != "."; parent = path.Dir(parent) {
			if folder, found := m.dropped[parent]; found {
				back = append(back, folder)
				delete(m.dropped, parent)
			}
		}
	}
	m.entries = append(m.entries, back...)
	slices.SortFunc(m.entries, byPath)
}

// checkFolders finds files that one parent put below what is a file for another.
func (m *merge) checkFolders() {
	t := Tree{m.entries}
	known := map[string]bool{} // folders that are fine, and paths of conflicts that are reported
	for _, e := range m.entries {
		for parent := path.Dir(e.Path); parent != "." && !known[parent]; parent = path.Dir(parent) {
			known[parent] = true
			if above, found := t.Lookup(parent); found && !above.Mode.IsDir() {
				one, other := above.By, e.By
				if other < one {
					one, other = other, one
				}
				m.conflicts = append(m.conflicts, Conflict{parent, one, other})
			}
		}
	}
}

// seen answers whether a step has seen what another one wrote.
type seen struct {
	graph Ancestry
	known map[string]map[string]bool
}

// by tells whether step has seen what writer wrote: it is the writer, descends from it, or the writer is the input. One of many, as "fan.3", is part of its
// step, which has seen all of them; they have not seen each other.
func (s seen) by(step, writer string) bool {
	if writer == "" || step == writer {
		return true
	}
	whole, _, one := strings.Cut(step, ".")
	of, _, _ := strings.Cut(writer, ".")
	if whole == of {
		return !one
	}
	return step != "" && s.ancestors(whole)[of]
}

func (s seen) ancestors(step string) map[string]bool {
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
