package files

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
)

// grower makes random trees and steps. The names are few, so that they meet.
type grower struct {
	rand  *rand.Rand
	store func(content string) // stores a chunk; nil in the model
}

func (g *grower) somePath() string {
	names := []string{"a", "b", "a-", "c"}
	var parts []string
	for range 1 + g.rand.IntN(3) {
		parts = append(parts, names[g.rand.IntN(len(names))])
	}
	return strings.Join(parts, "/")
}

func (g *grower) somePatterns() Patterns {
	all := []Patterns{nil, {"a"}, {"*/a"}, {"a/b", "c"}, {"**/c"}, {"a-/**"}, {"b/*/a", "a/?"}, {"[ac]/b"}}
	return all[g.rand.IntN(len(all))]
}

// someContent returns a random content of a file: x, some times.
func (g *grower) someSize() int64 { return int64(g.rand.IntN(4)) }

func (g *grower) someMode(modes ...fs.FileMode) fs.FileMode { return modes[g.rand.IntN(len(modes))] }

// growTree returns a random tree. With another tree, a step that reads these patterns sees the same in both.
func (g *grower) growTree(like map[string]*Entry, reads Patterns) map[string]*Entry {
	tree := map[string]*Entry{}
	visible := visiblePaths(like, reads)
	for name := range visible {
		e := *like[name]
		e.By = g.someWriter()
		g.placeFile(&e)
		tree[name] = &e
	}
	for range g.rand.IntN(12) {
		g.addPath(tree, g.somePath(), func(name string) bool {
			return like == nil || !reads.Match(name) && !slices.ContainsFunc(slices.Collect(maps.Keys(visible)), func(seen string) bool { return strings.HasPrefix(seen, name+"/") })
		})
	}
	return tree
}

func (g *grower) someWriter() string { return []string{"", "w", "v.1"}[g.rand.IntN(3)] }

// placeFile puts the content of a file into a chunk with other content.
func (g *grower) placeFile(e *Entry) {
	if e.Size == 0 {
		return
	}
	before := strings.Repeat("y", g.rand.IntN(3))
	content := before + strings.Repeat("x", int(e.Size))
	if g.store != nil {
		g.store(content)
	}
	e.Offset, e.Chunks = int64(len(before)), []Digest{digestOf([]byte(content))}
}

// addPath adds an entry, and mostly the directories above it, as far as the tree stays valid and each path may be added.
func (g *grower) addPath(tree map[string]*Entry, name string, may func(string) bool) {
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if e := tree[parent]; e != nil && !e.Mode.IsDir() {
			return
		}
	}
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if tree[parent] == nil && may(parent) && g.rand.IntN(10) > 0 {
			tree[parent] = &Entry{Path: parent, Mode: fs.ModeDir | g.someMode(0o755, 0o700), By: g.someWriter()}
		}
	}
	if tree[name] != nil || !may(name) {
		return
	}
	e := &Entry{Path: name, By: g.someWriter()}
	switch kind := g.rand.IntN(6); {
	case kind < 2:
		e.Mode = fs.ModeDir | g.someMode(0o755, 0o700)
	case slices.ContainsFunc(slices.Collect(maps.Keys(tree)), func(other string) bool { return strings.HasPrefix(other, name+"/") }):
		return
	case kind == 2:
		e.Mode, e.Link = fs.ModeSymlink|0o777, "a"
	default:
		setContent(e, g.someSize(), g.someMode(0o644, 0o600))
		g.placeFile(e)
	}
	tree[name] = e
}

func setContent(e *Entry, size int64, mode fs.FileMode) {
	content := []byte(strings.Repeat("x", int(size)))
	e.Mode, e.Size, e.SHA256 = mode, size, digestOf(content)
	if size > 0 {
		e.Chunks = []Digest{e.SHA256}
	}
}

// visiblePaths returns the paths of the entries that Restore restores.
func visiblePaths(tree map[string]*Entry, reads Patterns) map[string]bool {
	visible := map[string]bool{}
	for name := range tree {
		if !reads.Match(name) {
			continue
		}
		for above := name; above != "."; above = path.Dir(above) {
			if tree[above] != nil {
				visible[above] = true
			}
		}
	}
	return visible
}

// deed is one thing that a step does; it depends only on what the step sees.
type deed struct {
	What string // write, make, link, chmod or remove
	Path string
	Size int64
	Mode fs.FileMode
}

func (g *grower) someWork() []deed {
	var work []deed
	for range 1 + g.rand.IntN(5) {
		d := deed{[]string{"write", "write", "make", "link", "chmod", "remove"}[g.rand.IntN(6)], g.somePath(), g.someSize(), g.someMode(0o755, 0o700)}
		work = append(work, d)
	}
	return work
}

// place is where a step works.
type place interface {
	typeAt(name string) (kind fs.FileMode, found bool)
	put(e Entry)
	setMode(name string, mode fs.FileMode)
	remove(name string)
}

func (d deed) apply(in place) {
	kind, found := in.typeAt(d.Path)
	switch d.What {
	case "remove":
		in.remove(d.Path)
		return
	case "chmod":
		if found && kind&fs.ModeSymlink == 0 {
			in.setMode(d.Path, d.Mode)
		}
		return
	case "make":
		if found && kind.IsDir() {
			return
		}
	}
	parts := strings.Split(d.Path, "/")
	for i := range parts[:len(parts)-1] {
		above := strings.Join(parts[:i+1], "/")
		if kind, found := in.typeAt(above); !found || !kind.IsDir() {
			in.remove(above)
			in.put(Entry{Path: above, Mode: fs.ModeDir | 0o755})
		}
	}
	in.remove(d.Path)
	e := Entry{Path: d.Path}
	switch d.What {
	case "make":
		e.Mode = fs.ModeDir | d.Mode
	case "link":
		e.Mode, e.Link = fs.ModeSymlink|0o777, fmt.Sprint("to", d.Size)
	default:
		setContent(&e, d.Size, d.Mode)
	}
	in.put(e)
}

// modelPlace is a model of a directory.
type modelPlace map[string]Entry

func (p modelPlace) typeAt(name string) (fs.FileMode, bool) {
	e, found := p[name]
	return e.Mode.Type(), found
}

func (p modelPlace) put(e Entry) { p[e.Path] = e }

func (p modelPlace) setMode(name string, mode fs.FileMode) {
	e := p[name]
	e.Mode = e.Mode.Type() | mode
	p[name] = e
}

func (p modelPlace) remove(name string) {
	maps.DeleteFunc(p, func(at string, _ Entry) bool { return at == name || strings.HasPrefix(at, name+"/") })
}

// leaveInModel returns what a step leaves that starts with a tree, as Restore and Snapshot define it.
func leaveInModel(tree map[string]*Entry, reads Patterns, work []deed) map[string]*Entry {
	visible := visiblePaths(tree, reads)
	in := modelPlace{}
	for name := range visible {
		in[name] = *tree[name]
		for above := path.Dir(name); above != "."; above = path.Dir(above) {
			if tree[above] == nil {
				in[above] = Entry{Path: above, Mode: fs.ModeDir | 0o755}
			}
		}
	}
	for _, d := range work {
		d.apply(in)
	}
	left := map[string]*Entry{}
	for name, e := range in {
		if old := tree[name]; visible[name] && old.Mode == e.Mode && e.sameContent(*old) {
			left[name] = old
			continue
		}
		if e.By = "s"; e.IsFile() {
			setContent(&e, e.Size, e.Mode) // it is stored in another place
			e.Offset = 0
		}
		left[name] = &e
	}
	for name, e := range tree {
		if _, found := in[name]; found || visible[name] {
			continue
		}
		kept := true
		for above := path.Dir(name); above != "."; above = path.Dir(above) {
			if e, found := in[above]; found && !e.Mode.IsDir() {
				kept = false
			}
		}
		if kept {
			left[name] = e
		}
	}
	return left
}

func treeOfMap(t testing.TB, entries map[string]*Entry) Tree {
	t.Helper()
	tree, err := treeOf(slices.Collect(maps.Values(entries)))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// listEntries returns all that is known of the entries as text, with or without the places of their files in chunks.
func listEntries(tree Tree, withoutPlaces bool) []string {
	var all []string
	for e := range tree.All() {
		if withoutPlaces {
			e.Chunks, e.Offset = nil, 0
		}
		all = append(all, fmt.Sprintf("%+v", e))
	}
	return all
}
