package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// hex64 is the digest of a text.
var hex64 = digestOf([]byte("content")).String()

// hostile are manifests that no correct writer creates.
var hostile = map[string]struct{ lines, want string }{
	"a path leads outside":             {`{"p":"../evil","m":"644"}`, `path "../evil" points outside the files`},
	"a path leads outside in the end":  {`{"p":"a/../../evil","m":"644"}`, `path "a/../../evil" points outside the files`},
	"a path is absolute":               {`{"p":"/etc/passwd","m":"644"}`, `path "/etc/passwd" is absolute; it must be relative to the root of the files`},
	"a path is empty":                  {`{"m":"644"}`, `an empty path names no file`},
	"a path is the root":               {`{"p":".","t":"d","m":"755"}`, `an empty path names no file`},
	"a path is not clean":              {`{"p":"a//b","m":"644"}`, `path "a//b" has an empty, "." or ".." part; write "a/b"`},
	"a path contains a zero byte":      {`{"p":"a\u0000b","m":"644"}`, `path "a\x00b" contains a zero byte`},
	"a path is endless":                {`{"p":"` + strings.Repeat("a", 5000) + `","m":"644"}`, `path "` + strings.Repeat("a", 40) + `"… is longer than 4095 bytes`},
	"bytes lead outside":               {`{"pb":"Li4vZXZpbA==","m":"644"}`, `path "../evil" points outside the files`},
	"a link has no target":             {`{"p":"l","t":"l"}`, `symbolic link "l" has no target`},
	"a file is below a link":           {"{\"p\":\"l\",\"t\":\"l\",\"l\":\"x\"}\n" + `{"p":"l/evil","m":"644"}`, `path "l/evil" is below "l", which is not a directory`},
	"a file is deep below a file":      {"{\"p\":\"l\",\"m\":\"644\"}\n" + `{"p":"l/a/b/evil","m":"644"}`, `path "l/a/b/evil" is below "l", which is not a directory`},
	"a path comes twice":               {"{\"p\":\"a\",\"m\":\"644\"}\n" + `{"p":"a","m":"644"}`, `path "a" is a duplicate or out of order`},
	"paths are out of order":           {"{\"p\":\"b\",\"m\":\"644\"}\n" + `{"p":"a","m":"644"}`, `path "a" is a duplicate or out of order`},
	"a bad path after good folders":    {"{\"p\":\"a\",\"t\":\"d\",\"m\":\"755\"}\n{\"p\":\"a/b\",\"m\":\"644\"}\n" + `{"p":"b/../c","m":"644"}`, `path "b/../c" has an empty, "." or ".." part; write "c"`},
	"a size is negative":               {`{"p":"a","m":"644","s":-1}`, `file "a" has an impossible size, offset or target`},
	"an offset is beyond a chunk":      {`{"p":"a","m":"644","s":1,"o":1048512,"c":["` + hex64 + `"]}`, `file "a" has an impossible size, offset or target`},
	"a file is larger than its chunks": {`{"p":"a","m":"644","s":1048513,"c":["` + hex64 + `"]}`, `file "a" of 1048513 bytes at offset 0 has 1 chunks`},
	"a size is the largest number":     {`{"p":"a","m":"644","s":9223372036854775807,"o":5,"c":["` + hex64 + `"]}`, `file "a" of 9223372036854775807 bytes at offset 5 has 1 chunks`},
	"an empty file has a chunk":        {`{"p":"a","m":"644","c":["` + hex64 + `"]}`, `file "a" of 0 bytes at offset 0 has 1 chunks`},
	"a folder has content":             {`{"p":"a","t":"d","m":"755","s":1,"c":["` + hex64 + `"]}`, `path "a" has content, but is not a file`},
	"the writer is no step":            {`{"p":"a","m":"644","b":"*"}`, `path "a" was written by "*", which is not a valid step name`},
}

// broken are texts that are not manifests.
var broken = map[string]struct{ text, want string }{
	"nothing":           {"", "manifest is corrupt: it is empty"},
	"a newer version":   {"{\"v\":2}\n", "manifest was written in a newer format (version 2, this program knows 1)"},
	"no version":        {"{}\n", "manifest is corrupt: version 0"},
	"an unknown type":   {manifest(`{"p":"a","t":"x","m":"644"}`), `manifest is corrupt at line 2: type "x" is not known`},
	"a mode of letters": {manifest(`{"p":"a","m":"rw"}`), `manifest is corrupt at line 2: mode "rw" is not an octal number up to 7777`},
	"a mode too many":   {manifest(`{"p":"a","m":"100644"}`), `manifest is corrupt at line 2: mode "100644" is not an octal number up to 7777`},
	"a short digest":    {manifest(`{"p":"a","m":"644","s":1,"c":["ab"]}`), `manifest is corrupt at line 2: "ab" is not a digest of 64 hex digits`},
}

func manifest(lines string) string {
	return "{\"v\":1}\n" + lines + "\n"
}

func parseManifest(text string) (Tree, error) {
	r, err := newManifestReader(strings.NewReader(text))
	if err != nil {
		return Tree{}, err
	}
	return collectTree(r)
}

func printManifest(to io.Writer, t Tree) error {
	w, err := newManifestWriter(to)
	for _, e := range t.entries {
		err = errors.Join(err, w.addEntry(e))
	}
	return err
}

func TestHostileManifestsAreRefused(t *testing.T) {
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			_, err := parseManifest(manifest(tt.lines))
			if want := "manifest is corrupt: " + tt.want; fmt.Sprint(err) != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v is no ErrCorrupt", err)
			}
		})
	}
}

func TestBrokenManifestsAreRefused(t *testing.T) {
	for name, tt := range broken {
		t.Run(name, func(t *testing.T) {
			if _, err := parseManifest(tt.text); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestRestoreTrustsNoTree checks that os.Root keeps a hostile tree inside that passed all checks.
func TestRestoreTrustsNoTree(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "hostile")
	for name, entries := range map[string][]*Entry{
		"a path leads outside":  {{Path: "../evil", Mode: 0o644}},
		"a path is absolute":    {{Path: "/tmp/brane-evil", Mode: 0o644}},
		"a folder is elsewhere": {{Path: "../evil", Mode: os.ModeDir | 0o755}},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			dir := filepath.Join(outside, "data")
			if err := os.Mkdir(dir, 0o750); err != nil {
				t.Fatal(err)
			}
			if err := restored(t, s, Tree{entries}, dir); err == nil {
				t.Error("the tree was restored")
			}
			if got := disk(t, outside); len(got) != 1 {
				t.Errorf("something was written: %v", got)
			}
		})
	}
	t.Run("a link that was there leads outside", func(t *testing.T) {
		outside := t.TempDir()
		dir := filepath.Join(outside, "data")
		if err := errors.Join(os.Mkdir(dir, 0o750), os.Symlink("..", filepath.Join(dir, "l"))); err != nil {
			t.Fatal(err)
		}
		if err := restored(t, s, Tree{[]*Entry{{Path: "l/evil", Mode: 0o644}}}, dir); err == nil {
			t.Error("the tree was restored")
		}
		if _, err := os.Lstat(filepath.Join(outside, "evil")); err == nil {
			t.Error("it was written through the link")
		}
	})
}

// FuzzManifest checks that what can be parsed is a valid tree, and that writing and parsing it again returns the same tree.
func FuzzManifest(f *testing.F) {
	for _, tt := range hostile {
		f.Add([]byte(manifest(tt.lines)))
	}
	f.Add([]byte(manifest(`{"p":"a","m":"4755","s":3,"c":["` + hex64 + `"],"o":7,"h":"` + hex64 + `","b":"step.3"}`)))
	f.Add([]byte(manifest("{\"p\":\"d\",\"t\":\"d\",\"m\":\"1777\"}\n" + `{"pb":"ZC//","t":"l","lb":"/w=="}`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := parseManifest(string(text))
		if err != nil {
			return
		}
		if err := tree.checkEntries(); err != nil {
			t.Fatalf("a tree that was accepted is not valid: %v", err)
		}
		var again bytes.Buffer
		if err := printManifest(&again, tree); err != nil {
			t.Fatal(err)
		}
		second, err := parseManifest(again.String())
		if err != nil {
			t.Fatalf("a tree that was accepted cannot be written: %v", err)
		}
		if len(tree.entries)+len(second.entries) > 0 && !reflect.DeepEqual(normal(tree), normal(second)) {
			t.Fatalf("got %v\nwant %v", second, tree)
		}
	})
}

// normal removes the difference between no list and an empty list.
func normal(t Tree) []Entry {
	all := slices.Collect(t.All())
	for i := range all {
		if len(all[i].Chunks) == 0 {
			all[i].Chunks = nil
		}
	}
	return all
}

// FuzzRecord checks that what can be parsed can be committed.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"v":2,"attempt":2,"code":0,"layer":"` + hex64 + `","base":"` + hex64 + `","content":"` + hex64[:32] + `","started":"2026-01-02T03:04:05Z","ended":"2026-01-02T03:04:06Z","node":"n","pod":"p"}`))
	f.Add([]byte(`{"v":3}`))
	f.Add([]byte(`{"v":1,"layer":"` + hex64 + `"}`))
	f.Add([]byte(`{"v":2,"layer":"../../x"}`))
	f.Add([]byte(`{"v":2,"layer":"` + hex64 + `","base":"../../x"}`))
	f.Add([]byte(`{"v":2,"layer":"` + hex64 + `","content":"` + hex64 + `"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRecord(text)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("%v is neither ErrCorrupt nor ErrNewer", err)
			}
			return
		}
		if _, err := ParseDigest(string(r.Layer)); err != nil || r.V != recordVersion {
			t.Fatalf("accepted %+v", r)
		}
		if _, err := ParseDigest(string(r.Base)); r.Base != "" && err != nil {
			t.Fatalf("accepted %+v", r)
		}
		if err := NewFingerprint(r.Content, r.Content).Check(); r.Content != "" && err != nil {
			t.Fatalf("accepted %+v", r)
		}
		again, err := r.formatRecord()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRecord(again); err != nil {
			t.Fatalf("what was accepted is written as %s: %v", again, err)
		}
	})
}
