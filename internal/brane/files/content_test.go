package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// describe returns the digest of the description of entries.
func describe(entries ...Entry) string {
	d := newDescription()
	for i := range entries {
		d.addEntry(&entries[i])
	}
	return d.digest()
}

// TestDescription compares the digests of descriptions with those of the bytes that the guide on the format defines.
func TestDescription(t *testing.T) {
	one, two := digestOf([]byte("1")), digestOf([]byte("2"))
	for name, tt := range map[string]struct {
		entry Entry
		want  string
	}{
		"a directory":                  {Entry{Path: "d", Mode: fs.ModeDir | fs.ModeSticky | 0o777, By: "s"}, "d\x00d\x001777\x00"},
		"a link":                       {Entry{Path: "d/l", Mode: fs.ModeSymlink | 0o777, Link: "../x", By: "s"}, "d/l\x00l\x00../x\x00"},
		"an empty file":                {Entry{Path: "f", Mode: 0o644, SHA256: digestOf(nil)}, "f\x00f\x00644\x000\x00"},
		"an empty file, without sum":   {Entry{Path: "f", Mode: 0o644}, "f\x00f\x00644\x000\x00"},
		"a small file":                 {Entry{Path: "f", Mode: fs.ModeSetuid | 0o755, Size: 5, SHA256: one, Chunks: []Digest{two}, Offset: 7, By: "s"}, "f\x00f\x004755\x005\x00" + one.String() + "\x00"},
		"the largest small file":       {Entry{Path: "f", Size: ChunkSize, SHA256: one, Chunks: []Digest{two}}, "f\x00f\x000\x001048512\x00" + one.String() + "\x00"},
		"a large file":                 {Entry{Path: "f", Mode: 0o600, Size: ChunkSize + 1, Chunks: []Digest{one, two}}, "f\x00f\x00600\x001048513\x000\x00" + one.String() + "\x00" + two.String() + "\x00"},
		"a large file with a sum":      {Entry{Path: "f", Mode: 0o600, Size: ChunkSize + 1, SHA256: one, Chunks: []Digest{one, two}}, "f\x00f\x00600\x001048513\x000\x00" + one.String() + "\x00" + two.String() + "\x00"},
		"another program's small file": {Entry{Path: "f", Mode: 0o600, Size: 5, Chunks: []Digest{one}, Offset: 7}, "f\x00f\x00600\x005\x007\x00" + one.String() + "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := describe(tt.entry), ShortDigest([]byte(tt.want)); got != want {
				t.Errorf("got %s, want %s, that of %q", got, want, tt.want)
			}
		})
	}
	if got, want := describe(Entry{Path: "a"}, Entry{Path: "b"}), ShortDigest([]byte("a\x00f\x000\x000\x00b\x00f\x000\x000\x00")); got != want {
		t.Errorf("of two files, got %s, want %s", got, want)
	}
}

// TestViewNamesDirectoriesAboveOnce checks where the directories are described that are not selected themselves.
func TestViewNamesDirectoriesAboveOnce(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "above")
	layer, err := s.PutTree(t.Context(), sketch(t, "d/@", "d-/@", "d-/x=@", "d/e/@", "d/e/f=@", "d/e/g=@", "d/h/@", "d/h/i=@", "e=@"))
	if err != nil {
		t.Fatal(err)
	}
	for reads, want := range map[string]string{
		"d/e/*":   "d/ d/e/ d/e/f d/e/g",
		"d/e":     "d/ d/e/ d/e/f d/e/g",
		"d/*/[f]": "d/ d/e/ d/e/f",
		"**/[xi]": "d-/ d-/x d/ d/h/ d/h/i", // d comes before d- in the manifest
		"d":       "d/ d/e/ d/e/f d/e/g d/h/ d/h/i",
		"x":       "",
	} {
		var entries []Entry
		for name := range strings.FieldsSeq(want) {
			e := Entry{Path: strings.TrimSuffix(name, "/"), Mode: 0o644}
			if e.Path != name {
				e.Mode = fs.ModeDir | 0o755
			}
			entries = append(entries, e)
		}
		if got, err := s.DigestView(t.Context(), layer, Patterns{reads}); err != nil || got != describe(entries...) {
			t.Errorf("with reads %q, it is %s, %v; want that of %s", reads, got, err, want)
		}
	}
}

// TestContentIsTheSameForTheSameFiles stores the same files in different ways and places.
func TestContentIsTheSameForTheSameFiles(t *testing.T) {
	s, ctx := open(t, dial(t, redistest.Start(t).URL()), "content"), t.Context()
	large := noise(1, 2*ChunkSize+7)
	put := func(dir string, content map[string][]byte) {
		for name, text := range content {
			at := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, text, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	wanted := map[string][]byte{"d/large": large, "d/small": []byte("hello"), "e": nil, "f": []byte("f")}
	dir := t.TempDir()
	put(dir, wanted)
	first, err := s.Snapshot(ctx, dir, nil, nil, "one")
	if err != nil {
		t.Fatal(err)
	}
	// The small files are in another pack after the step has removed one of them.
	other := t.TempDir()
	put(other, wanted)
	put(other, map[string][]byte{"a": []byte("first of the pack")})
	with, err := s.Snapshot(ctx, other, nil, nil, "two")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(other, "a")); err != nil {
		t.Fatal(err)
	}
	without, err := s.Snapshot(ctx, other, &Staged{Layer: with.Layer}, nil, "three")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]Source{}
	for name, content := range wanted {
		sources[name] = Source{Content: content}
	}
	inputs, err := s.PutInputs(ctx, sources)
	if err != nil {
		t.Fatal(err)
	}
	one, err := s.PutTree(ctx, sketch(t, "f=f@x"))
	if err != nil {
		t.Fatal(err)
	}
	union, err := s.Union(ctx, map[string]Layer{"one": first.Layer, "x": one}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if with.Content == first.Content {
		t.Error("one file more is the same content")
	}
	if first.Layer == without.Layer || first.Content != without.Content || first.Content != union.Content {
		t.Errorf("the contents of %v, %v and %v differ, or their layers do not", first, without, union)
	}
	for _, layer := range []Layer{first.Layer, without.Layer, inputs, union.Layer} {
		if got, err := s.DigestView(ctx, layer, nil); err != nil || got != first.Content {
			t.Errorf("the view of layer %s is %s, %v; want %s", layer, got, err, first.Content)
		}
	}
	large[ChunkSize]++
	put(dir, wanted)
	changed, err := s.Snapshot(ctx, dir, &Staged{Layer: first.Layer}, nil, "one")
	if err != nil || changed.Content == first.Content {
		t.Errorf("with another byte in the second chunk, the content is %s, %v; before it was %s", changed.Content, err, first.Content)
	}
	for reads, isSame := range map[string]bool{"d/small": true, "d/*": false, "**/large": false, "e": true, "nothing": true} {
		before, one := s.DigestView(ctx, first.Layer, Patterns{reads})
		after, two := s.DigestView(ctx, changed.Layer, Patterns{reads})
		if err := errors.Join(one, two); err != nil || (before == after) != isSame {
			t.Errorf("with reads %q, the views are %s and %s, %v; want the same: %t", reads, before, after, err, isSame)
		}
	}
	if _, err := s.DigestView(ctx, someLayer, nil); !errors.Is(err, ErrGone) {
		t.Errorf("of a layer that does not exist, DigestView says %v", err)
	}
}

// TestViewIsWhatIsRestored checks with random trees that two views have the same digest if, and only if, Restore restores the same files.
func TestViewIsWhatIsRestored(t *testing.T) {
	s, ctx := open(t, dial(t, redistest.Start(t).URL()), "view"), t.Context()
	same, other := 0, 0
	for seed := range uint64(300) {
		g := &grower{rand: rand.New(rand.NewPCG(seed, 3)), store: func(content string) { plant(t, s, []byte(content)) }}
		reads := g.somePatterns()
		trees := []map[string]*Entry{g.growTree(nil, nil), nil}
		if trees[1] = maps.Clone(trees[0]); g.rand.IntN(4) > 0 {
			trees[1] = g.growTree(trees[0], reads)
		}
		for range g.rand.IntN(6) {
			g.addPath(trees[1], g.somePath(), func(string) bool { return true })
		}
		var digests, found [2]string
		for i, entries := range trees {
			for name, e := range entries { // a directory that only Restore makes looks like one with an entry
				for above := filepath.Dir(name); above != "."; above = filepath.Dir(above) {
					if entries[above] == nil {
						entries[above] = &Entry{Path: above, Mode: fs.ModeDir | 0o755, By: e.By}
					}
				}
			}
			layer, err := s.PutTree(ctx, treeOfMap(t, entries))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := s.Restore(ctx, &Staged{Layer: layer, Reads: reads}, dir); err != nil {
				t.Fatal(err)
			}
			if digests[i], err = s.DigestView(ctx, layer, reads); err != nil {
				t.Fatal(err)
			}
			found[i] = fmt.Sprint(disk(t, dir))
		}
		if (digests[0] == digests[1]) != (found[0] == found[1]) {
			t.Errorf("seed %d: reads %q, the digests are %q of\n%s\n%s", seed, reads, digests, found[0], found[1])
		}
		if found[0] == found[1] {
			same++
		} else {
			other++
		}
	}
	if same < 50 || other < 50 {
		t.Errorf("%d pairs are the same, %d are not", same, other)
	}
}

// TestMergeNeedsKnowsTheContent checks in which cases the content of the files with which a step starts is known.
func TestMergeNeedsKnowsTheContent(t *testing.T) {
	s, ctx := open(t, dial(t, redistest.Start(t).URL()), "needs"), t.Context()
	records := map[string]Record{}
	for _, step := range []string{"a", "b"} {
		layer, err := s.PutTree(ctx, sketch(t, step+"=1@"+step))
		if err != nil {
			t.Fatal(err)
		}
		records[step] = Record{Layer: layer, Content: ShortDigest([]byte(step))}
	}
	if err := s.SetInput(ctx, someLayer); err != nil {
		t.Fatal(err)
	}
	if got, err := s.MergeNeeds(ctx, nil, nil, nil); err != nil || got != (Stored{Layer: someLayer}) {
		t.Errorf("without needs, it is %v, %v", got, err)
	}
	if got, err := s.MergeNeeds(ctx, []string{"a"}, records, nil); err != nil || got != (Stored{records["a"].Layer, records["a"].Content}) {
		t.Errorf("of one step, it is %v, %v", got, err)
	}
	got, err := s.MergeNeeds(ctx, []string{"a", "b"}, records, nil)
	if want := describe(*sketch(t, "a=1@").entries[0], *sketch(t, "b=1@").entries[0]); err != nil || got.Content != want {
		t.Errorf("of two steps, it is %v, %v; want content %s", got, err, want)
	}
	if _, err := s.MergeNeeds(ctx, []string{"c"}, records, nil); !errors.Is(err, ErrGone) {
		t.Errorf("without a commit, it says %v", err)
	}
	if got, err := s.Union(ctx, map[string]Layer{"a": records["a"].Layer}, nil); err != nil || got != (Stored{Layer: records["a"].Layer}) {
		t.Errorf("the union of one layer is %v, %v", got, err)
	}
}

// TestDescriptionReusesItsMemory checks that one description may follow a longer one.
func TestDescriptionReusesItsMemory(t *testing.T) {
	d, want := newDescription(), bytes.Buffer{}
	for _, name := range []string{"a-long-name", "b", "c-longer-than-all"} {
		d.addEntry(&Entry{Path: name})
		fmt.Fprintf(&want, "%s\x00f\x000\x000\x00", name)
	}
	if got := d.digest(); got != ShortDigest(want.Bytes()) {
		t.Errorf("got %s, want %s", got, ShortDigest(want.Bytes()))
	}
}
