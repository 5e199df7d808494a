package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestRebase checks single rules. The law that they follow from is checked by the other tests.
func TestRebase(t *testing.T) {
	for name, tt := range map[string]struct {
		result, from, to, want []string
		mode                   string // of the result
	}{
		"what was written is carried over":                   {[]string{"in=1@", "out=x@s"}, []string{"in=1@"}, []string{"in=1@", "new=2@a"}, []string{"in=1@", "new=2@a", "out=x@s"}, ""},
		"what was changed is carried over":                   {[]string{"in=2@s"}, []string{"in=1@"}, []string{"in=1@", "new=2@a"}, []string{"in=2@s", "new=2@a"}, ""},
		"what was removed is removed":                        {nil, []string{"in=1@"}, []string{"in=1@", "new=2@a"}, []string{"new=2@a"}, ""},
		"what was not seen is not brought back":              {[]string{"in=1@", "old=1@a", "out=x@s"}, []string{"in=1@", "old=1@a"}, []string{"in=1@"}, []string{"in=1@", "out=x@s"}, ""},
		"what the step left belongs to its new writer":       {[]string{"in=1@a"}, []string{"in=1@a"}, []string{"in=1@b"}, []string{"in=1@b"}, ""},
		"a file removes what is below it":                    {[]string{"d=x@s"}, nil, []string{"d/@a", "d/e/@a", "d/e/f=1@a", "d-=1@a"}, []string{"d=x@s", "d-=1@a"}, ""},
		"a directory takes the place of a file":              {[]string{"d/@s", "d/f=x@s"}, nil, []string{"d=1@a"}, []string{"d/@s", "d/f=x@s"}, ""},
		"a directory of the result is taken along":           {[]string{"d/@a", "d/e/@a", "d/e/f=x@s"}, []string{"d/@a", "d/e/@a"}, nil, []string{"d/@a", "d/e/@a", "d/e/f=x@s"}, ""},
		"and takes the place of a file":                      {[]string{"d/@a", "d/e/@a", "d/e/f=x@s"}, []string{"d/@a", "d/e/@a"}, []string{"d/@b", "d/e=1@b"}, []string{"d/@b", "d/e/@a", "d/e/f=x@s"}, ""},
		"a file gives way to a directory without an entry":   {[]string{"d/f=x@s"}, nil, []string{"d=1@a"}, []string{"d/f=x@s"}, ""},
		"a directory that the step removed keeps the others": {nil, []string{"d/@a", "d/f=1@a"}, []string{"d/@a", "d/f=1@a", "d/g=2@a"}, []string{"d/g=2@a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rebaseTree(sketch(t, tt.result...), sketch(t, tt.from...), sketch(t, tt.to...))
			if err != nil {
				t.Fatal(err)
			}
			if want := sketch(t, tt.want...); !slices.Equal(show(got), show(want)) {
				t.Errorf("it is\n%q, want\n%q", show(got), show(want))
			}
		})
	}
}

func TestRebaseNeedsAllLists(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "rebase")
	layer, err := s.PutTree(t.Context(), sketch(t, "a=1@s"))
	if err != nil {
		t.Fatal(err)
	}
	for _, layers := range [][3]Layer{{someLayer, layer, layer}, {layer, someLayer, layer}, {layer, layer, someLayer}} {
		_, err := s.Rebase(t.Context(), layers[0], layers[1], layers[2])
		want := fmt.Sprintf("carry over the changes of a step: layer %s: run rebase: chunk %[1]s is not in redis any more", someLayer.shortText())
		if !errors.Is(err, ErrGone) || fmt.Sprint(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if stored, err := s.Rebase(t.Context(), layer, layer, layer); err != nil || stored.Layer != layer || stored.Content == "" {
		t.Errorf("without a change, it is %v, %v; want %s", stored, err, layer)
	}
}

// TestRebaseLaw checks the law of Rebase with a model of a step, many times: a step whose result is rebased leaves what it would have left if it
// had started with the other files.
func TestRebaseLaw(t *testing.T) {
	different := 0
	for seed := range uint64(5_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		g := &grower{rand: r}
		reads := g.somePatterns()
		from := g.growTree(nil, reads)
		to := g.growTree(from, reads)
		work := g.someWork()
		first, second := leaveInModel(from, reads, work), leaveInModel(to, reads, work)
		rebased, err := rebaseTree(treeOfMap(t, first), treeOfMap(t, from), treeOfMap(t, to))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(listEntries(treeOfMap(t, second), false), listEntries(rebased, false)); diff != "" {
			t.Fatalf("seed %d: reads %q, from %q, to %q, %+v leads to another tree (-want +rebased):\n%s", seed, reads, show(treeOfMap(t, from)), show(treeOfMap(t, to)), work, diff)
		}
		if !slices.Equal(listEntries(rebased, false), listEntries(treeOfMap(t, first), false)) {
			different++
		}
	}
	if different < 2_500 {
		t.Errorf("only %d times there was something to do", different)
	}
}

// TestRebaseLawOfRealSteps checks the same with Restore and Snapshot. The places of files in chunks may differ: a file of which a step
// changes only the mode stays where it is.
func TestRebaseLawOfRealSteps(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "law")
	ctx := t.Context()
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 2))
		g := &grower{rand: r, store: func(content string) { plant(t, s, []byte(content)) }}
		reads, writes := g.somePatterns(), g.somePatterns()
		from := g.growTree(nil, reads)
		to := g.growTree(from, reads)
		work := g.someWork()
		var bases, results [2]Layer
		var contents [2]string
		for i, tree := range []map[string]*Entry{from, to} {
			var stored Stored
			bases[i], stored = leaveInDirectory(ctx, t, s, treeOfMap(t, tree), reads, writes, work)
			results[i], contents[i] = stored.Layer, stored.Content
		}
		one, errOne := s.DigestView(ctx, bases[0], reads)
		two, errTwo := s.DigestView(ctx, bases[1], reads)
		if err := errors.Join(errOne, errTwo); err != nil || one != two {
			t.Fatalf("seed %d: the step sees %s and %s, %v", seed, one, two, err)
		}
		rebased, err := s.Rebase(ctx, results[0], bases[0], bases[1])
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want, errOne := s.Tree(ctx, results[1])
		got, errTwo := s.Tree(ctx, rebased.Layer)
		if err := errors.Join(errOne, errTwo); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(listEntries(want, true), listEntries(got, true)); diff != "" || rebased.Content != contents[1] {
			t.Fatalf("seed %d: reads %q, writes %q, from %q, to %q, %+v leads to another tree, content %s, want %s (-want +rebased):\n%s",
				seed, reads, writes, show(treeOfMap(t, from)), show(treeOfMap(t, to)), work, rebased.Content, contents[1], diff)
		}
		into, other := t.TempDir(), t.TempDir()
		if err := errors.Join(restored(t, s, got, into), restored(t, s, want, other)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(disk(t, other), disk(t, into)); diff != "" {
			t.Fatalf("seed %d: the files differ (-want +rebased):\n%s", seed, diff)
		}
	}
}

// leaveInDirectory lets a step work in a directory, and returns the layer with which it started and what it has left.
func leaveInDirectory(ctx context.Context, t *testing.T, s *Store, tree Tree, reads, writes Patterns, work []deed) (Layer, Stored) {
	t.Helper()
	dir := t.TempDir()
	staged, err := stage(ctx, t, s, tree, reads, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range work {
		d.apply(directoryPlace{t, dir})
	}
	stored, err := s.Snapshot(ctx, dir, staged, writes, "s")
	if err != nil {
		t.Fatal(err)
	}
	return staged.Layer, stored
}

// directoryPlace is a directory in which a step works.
type directoryPlace struct {
	t   *testing.T
	dir string
}

func (p directoryPlace) typeAt(name string) (fs.FileMode, bool) {
	info, err := os.Lstat(filepath.Join(p.dir, name))
	if err != nil {
		return 0, false
	}
	return info.Mode().Type(), true
}

func (p directoryPlace) put(e Entry) {
	at := filepath.Join(p.dir, e.Path)
	var err error
	switch {
	case e.Mode.IsDir():
		err = os.Mkdir(at, 0o700)
	case e.Mode&fs.ModeSymlink != 0:
		err = os.Symlink(e.Link, at)
	default:
		err = os.WriteFile(at, []byte(strings.Repeat("x", int(e.Size))), 0o600)
	}
	if err == nil && e.Mode&fs.ModeSymlink == 0 {
		err = os.Chmod(at, e.Mode.Perm())
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p directoryPlace) setMode(name string, mode fs.FileMode) {
	if err := os.Chmod(filepath.Join(p.dir, name), mode); err != nil {
		p.t.Fatal(err)
	}
}

func (p directoryPlace) remove(name string) {
	if _, found := p.typeAt(name); !found {
		return // also if something above it is no directory
	}
	if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
		p.t.Fatal(err)
	}
}
