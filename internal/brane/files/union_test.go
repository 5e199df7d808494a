package files

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// sketch returns a tree of "path=content@step" and "directory/@step".
func sketch(t testing.TB, entries ...string) Tree {
	t.Helper()
	var all []Entry
	for _, text := range entries {
		name, by, _ := strings.Cut(text, "@")
		e := Entry{Mode: 0o644, By: by}
		if directory, found := strings.CutSuffix(name, "/"); found {
			e.Path, e.Mode = directory, fs.ModeDir|0o755
		} else {
			path, content, _ := strings.Cut(name, "=")
			e.Path, e.Size, e.SHA256 = path, int64(len(content)), digestOf([]byte(content))
			if e.Size > 0 {
				e.Chunks = []Digest{e.SHA256}
			}
		}
		all = append(all, e)
	}
	tree, err := NewTree(all)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// show is the reverse of sketch, with the length of a file's digest instead of its content.
func show(tree Tree) []string {
	var all []string
	for e := range tree.All() {
		if e.Mode.IsDir() {
			all = append(all, e.Path+"/@"+e.By)
		} else {
			all = append(all, e.Path+"="+e.SHA256.shortText()+"@"+e.By)
		}
	}
	return all
}

func TestUnion(t *testing.T) {
	// in ── a ── c ── d
	//   └── b ───┘
	// fan.0, fan.1, … are one of many each, and e needs them all
	s := open(t, dial(t, redistest.Start(t).URL()), "union")
	graph := Ancestry{"a": nil, "b": nil, "c": {"a", "b"}, "d": {"c"}, "fan": {"a"}, "e": {"fan"}}
	for name, tt := range map[string]struct {
		parents   map[string][]string
		want      []string
		conflicts string
	}{
		"two steps wrote to different paths": {
			map[string][]string{"a": {"x=1@a"}, "b": {"y=2@b"}},
			[]string{"x=1@a", "y=2@b"}, `[]`,
		},
		"each of many wrote to a path of its own": {
			map[string][]string{"fan.0": {"in=0@a", "x=1@fan.0"}, "fan.1": {"in=0@a", "y=2@fan.1"}},
			[]string{"in=0@a", "x=1@fan.0", "y=2@fan.1"}, `[]`,
		},
		"one of many changed what its parent wrote": {
			map[string][]string{"fan.0": {"in=0@a"}, "fan.1": {"in=1@fan.1"}},
			[]string{"in=1@fan.1"}, `[]`,
		},
		"two of many wrote different content": {
			map[string][]string{"fan.0": {"x=1@fan.0"}, "fan.1": {"x=2@fan.1"}},
			[]string{"x=1@fan.0"}, `[{x fan.0 fan.1}]`,
		},
		"a step changed what one of many wrote": {
			map[string][]string{"e": {"x=2@e"}, "fan": {"x=1@fan.1"}},
			[]string{"x=2@e"}, `[]`,
		},
		"a step removed what one of many wrote": {
			map[string][]string{"e": nil, "fan": {"x=1@fan.1"}},
			nil, `[]`,
		},
		"a step beside them wrote different content": {
			map[string][]string{"b": {"x=2@b"}, "fan": {"x=1@fan.1"}},
			[]string{"x=2@b"}, `[{x b fan.1}]`,
		},
		"an input that nobody touched stays": {
			map[string][]string{"a": {"i=0@"}, "b": {"i=0@"}},
			[]string{"i=0@"}, `[]`,
		},
		"one step changed an input": {
			map[string][]string{"a": {"i=1@a"}, "b": {"i=0@"}},
			[]string{"i=1@a"}, `[]`,
		},
		"both steps changed an input": {
			map[string][]string{"a": {"i=1@a"}, "b": {"i=2@b"}},
			[]string{"i=1@a"}, `[{i a b}]`,
		},
		"both steps wrote the same": {
			map[string][]string{"a": {"i=1@a"}, "b": {"i=1@b"}},
			[]string{"i=1@a"}, `[]`,
		},
		"a later step wrote over its ancestor": {
			map[string][]string{"a": {"x=1@a"}, "d": {"x=2@d"}},
			[]string{"x=2@d"}, `[]`,
		},
		"the order of the parents does not matter": {
			map[string][]string{"d": {"x=1@a"}, "b": {"x=2@c"}},
			[]string{"x=2@c"}, `[]`,
		},
		"a step removed an input": {
			map[string][]string{"a": {}, "b": {"i=0@"}},
			nil, `[]`,
		},
		"a step removed what an ancestor wrote": {
			map[string][]string{"d": {}, "a": {"x=1@a"}},
			nil, `[]`,
		},
		"a step removed an input that another one changed": {
			map[string][]string{"a": {}, "b": {"i=1@b"}},
			[]string{"i=1@b"}, `[]`,
		},
		"a folder that is removed here and filled there comes back": {
			map[string][]string{"a": {}, "b": {"f/@", "f/old=0@", "f/new=1@b"}},
			[]string{"f/@", "f/new=1@b"}, `[]`,
		},
		"a folder comes back, and a name lies between it and what is in it": {
			map[string][]string{"a": {"f-x=0@"}, "b": {"f/@", "f-x=0@", "f/g/@", "f/g/new=1@b"}},
			[]string{"f/@", "f-x=0@", "f/g/@", "f/g/new=1@b"}, `[]`,
		},
		"a folder is removed with the one that it is in, which became a file, and filled there": {
			map[string][]string{"a": {"f=1@a"}, "b": {"f/@", "f/g/@", "f/g/x=1@b", "f/g/y=1@b"}},
			[]string{"f=1@a", "f/g/@", "f/g/x=1@b", "f/g/y=1@b"}, `[{f a b}]`,
		},
		"both steps made the same folder": {
			map[string][]string{"a": {"f/@a", "f/x=1@a"}, "b": {"f/@b", "f/y=1@b"}},
			[]string{"f/@a", "f/x=1@a", "f/y=1@b"}, `[]`,
		},
		"a file here is a folder there": {
			map[string][]string{"a": {"f=1@a"}, "b": {"f/@b", "f/y=1@b"}},
			[]string{"f=1@a", "f/y=1@b"}, `[{f a b} {f a b}]`,
		},
		"a folder of the inputs became a file here and got a file there": {
			map[string][]string{"a": {"f=1@a"}, "b": {"f/@", "f/y=1@b"}},
			[]string{"f=1@a", "f/y=1@b"}, `[{f a b}]`,
		},
		"several conflicts come in order": {
			map[string][]string{"a": {"y=1@a", "x=1@a"}, "b": {"x=2@b", "y=2@b"}},
			[]string{"x=1@a", "y=1@a"}, `[{x a b} {y a b}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var parents []Parent
			layers := map[string]Layer{}
			for step, entries := range tt.parents {
				tree := sketch(t, entries...)
				parents = append(parents, Parent{step, tree})
				var err error
				if layers[step], err = s.PutTree(t.Context(), tree); err != nil {
					t.Fatal(err)
				}
			}
			tree, conflicts := Union(parents, graph)
			if got, want := show(tree), show(sketchLoose(t, tt.want)); !slices.Equal(got, want) {
				t.Errorf("the union has\n%q, want\n%q", got, want)
			}
			if got := fmt.Sprint(conflicts); got != tt.conflicts {
				t.Errorf("conflicts are %s, want %s", got, tt.conflicts)
			}
			// The same for layers, which are never in memory as a whole.
			stored, err := s.Union(t.Context(), layers, graph)
			if tt.conflicts != `[]` {
				if conflict := (*ConflictError)(nil); !errors.As(err, &conflict) || fmt.Sprint(conflict.Conflicts) != tt.conflicts {
					t.Errorf("of layers, Union says %v, want %s", err, tt.conflicts)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.Tree(t.Context(), stored.Layer)
			if got, want := show(again), show(tree); err != nil || !slices.Equal(got, want) {
				t.Errorf("the union of layers has\n%q, %v, want\n%q", got, err, want)
			}
		})
	}
}

// sketchLoose also allows what a conflict leaves: a file below a file.
func sketchLoose(t testing.TB, entries []string) Tree {
	t.Helper()
	var all []*Entry
	for _, entry := range entries {
		all = append(all, sketch(t, entry).entries...)
	}
	return Tree{all}
}

func TestTheUnionNamesTheStepWhoseFilesAreGone(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "union")
	layer, err := s.PutTree(t.Context(), sketch(t, "x=1@a"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Union(t.Context(), map[string]Layer{"a": layer, "b": someLayer}, nil)
	want := fmt.Sprintf(`files of step "b": layer %s: run union: chunk %[1]s is not in redis any more`, someLayer.shortText())
	if !errors.Is(err, ErrGone) || fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestConflictErrorIsASentence(t *testing.T) {
	for want, conflicts := range map[string][]Conflict{
		`steps "a" and "b" wrote different content to "x"`:                             {{"x", "a", "b"}},
		`steps "a" and "b" wrote different content to "x" (and 2 more paths conflict)`: {{"x", "a", "b"}, {"y", "a", "b"}, {"z", "a", "b"}},
	} {
		if got := (&ConflictError{conflicts}).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
