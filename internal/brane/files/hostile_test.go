package files

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// packed compresses a text as manifests are compressed.
func packed(t testing.TB, text string) []byte {
	t.Helper()
	var to bytes.Buffer
	w := gzip.NewWriter(&to)
	_, err := w.Write([]byte(text))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return to.Bytes()
}

// plant stores content unchanged under its correct digest.
func plant(t testing.TB, s *Store, content []byte) Digest {
	t.Helper()
	d := digestOf(content)
	if err := s.putChunk(t.Context(), d, content); err != nil {
		t.Fatal(err)
	}
	return d
}

// plantLayer stores any bytes as the compressed manifest of a layer, with correct digests.
func plantLayer(t testing.TB, s *Store, manifest []byte) Layer {
	t.Helper()
	var list strings.Builder
	for chunk := range slices.Chunk(manifest, ChunkSize) {
		fmt.Fprintln(&list, plant(t, s, chunk))
	}
	return Layer(plant(t, s, []byte(list.String())).String())
}

// besides is a directory to restore into, and its neighbours, which must not change.
type besides struct {
	t         testing.TB
	all, into string
	at        map[string]string
}

func newBesides(t testing.TB) *besides {
	t.Helper()
	b := &besides{t: t, all: t.TempDir()}
	b.into = filepath.Join(b.all, "data")
	err := errors.Join(
		os.MkdirAll(filepath.Join(b.all, "beside", "folder"), 0o700), os.WriteFile(filepath.Join(b.all, "beside", "file"), []byte("mine"), 0o600),
		os.WriteFile(filepath.Join(b.all, "x"), []byte("mine"), 0o600), os.Mkdir(b.into, 0o700),
	)
	if err != nil {
		t.Fatal(err)
	}
	b.at = b.look()
	return b
}

func (b *besides) look() map[string]string {
	found := disk(b.t, filepath.Join(b.all, "beside"))
	text, err := os.ReadFile(filepath.Join(b.all, "x"))
	if err != nil {
		b.t.Fatal(err)
	}
	found["x"] = string(text)
	list, err := os.ReadDir(b.all)
	if err != nil {
		b.t.Fatal(err)
	}
	found["all"] = fmt.Sprint(list)
	return found
}

// untouched fails the test if a neighbour has changed.
func (b *besides) untouched() {
	b.t.Helper()
	if diff := cmp.Diff(b.at, b.look()); diff != "" {
		b.t.Errorf("what is beside the folder has changed (-before +after):\n%s", diff)
	}
}

// TestHostileLayersAreRejected checks layers with correct digests, which everyone who can write to Redis can write.
func TestHostileLayersAreRejected(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "hostile")
	plant(t, s, []byte("content")) // the content with the digest hex64
	good := plantLayer(t, s, packed(t, manifest(`{"p":"good","m":"644"}`)))
	manifest := func(text string) func(testing.TB) Layer {
		return func(t testing.TB) Layer { return plantLayer(t, s, packed(t, text)) }
	}
	type layer struct {
		plant func(testing.TB) Layer
		want  string // after "layer …"; the error is ErrCorrupt if the text says so
	}
	layers := map[string]layer{
		"a cut stream": {func(t testing.TB) Layer {
			whole := packed(t, "{\"v\":1}\n{\"p\":\"a\",\"m\":\"644\"}\n")
			return plantLayer(t, s, whole[:len(whole)-4])
		}, ": manifest is corrupt: unexpected EOF"},
		"a stream with another sum": {func(t testing.TB) Layer {
			whole := packed(t, "{\"v\":1}\n{\"p\":\"a\",\"m\":\"644\"}\n")
			whole[len(whole)-5] ^= 1
			return plantLayer(t, s, whole)
		}, ": manifest is corrupt: gzip: invalid checksum"},
		"no stream": {func(t testing.TB) Layer { return plantLayer(t, s, []byte("junk, and more junk")) }, ": manifest is corrupt: gzip: invalid header"},
		"no chunks": {func(t testing.TB) Layer { return plantLayer(t, s, nil) }, ": manifest is corrupt: EOF"},
		"a list of junk": {func(t testing.TB) Layer {
			return Layer(plant(t, s, []byte(hex64+"\njunk\n")).String())
		}, ` is corrupt: "junk" is not a digest of 64 hex digits`},
		"a list of a file": {func(t testing.TB) Layer {
			return Layer(plant(t, s, []byte(hex64+"\n")).String())
		}, ": manifest is corrupt: unexpected EOF"},
	}
	for name, tt := range hostile {
		layers[name] = layer{manifest("{\"v\":1}\n" + tt.lines + "\n"), ": manifest is corrupt: " + tt.want}
	}
	for name, tt := range broken {
		layers[name] = layer{manifest(tt.text), ": " + tt.want}
	}
	for name, tt := range layers {
		t.Run(name, func(t *testing.T) {
			layer := tt.plant(t)
			refused := func(what string, err error, want string) {
				t.Helper()
				if want += "layer " + layer.shortText() + tt.want; fmt.Sprint(err) != want {
					t.Errorf("%s says\n     %v\nwant %s", what, err, want)
				}
				if strings.Contains(tt.want, "is corrupt") != errors.Is(err, ErrCorrupt) {
					t.Errorf("%s: %v is ErrCorrupt: %v", what, err, errors.Is(err, ErrCorrupt))
				}
			}
			_, err := s.Tree(t.Context(), layer)
			refused("Tree", err, "")
			_, err = s.Union(t.Context(), map[string]Layer{"a": layer, "b": good}, Ancestry{"a": nil, "b": nil})
			refused("Union", err, `files of step "a": `)
			b := newBesides(t)
			refused("Restore", s.Restore(t.Context(), &Staged{Layer: layer}, b.into), "restore into "+b.into+": ")
			b.untouched()
		})
	}
}

// TestHostileTreesStayInTheirDirectory checks valid trees whose fault shows only when they are restored, or later.
func TestHostileTreesStayInTheirDirectory(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "lies")
	plant(t, s, []byte("content"))
	large := plant(t, s, noise(1, ChunkSize))
	for name, tt := range map[string]struct {
		over  string // a layer that was restored before
		lines string
		want  string // part of the error
	}{
		"a file ends beyond its pack":    {"", `{"p":"a","m":"644","s":4,"c":["` + hex64 + `"],"o":4}`, `"a": its chunk is corrupt: it has 7 bytes, the manifest wants 4 from 4`},
		"a file begins beyond its pack":  {"", `{"p":"a","m":"644","s":1,"c":["` + hex64 + `"],"o":1048511}`, `"a": its chunk is corrupt: it has 7 bytes, the manifest wants 1 from 1048511`},
		"a large file has a short chunk": {"", `{"p":"a","m":"644","s":1048513,"c":["` + hex64 + `","` + large.String() + `"]}`, `"a": its chunk is corrupt: it has 7 bytes, the manifest wants 1048512 from 0`},
		"its chunk is nowhere":           {"", `{"p":"a","m":"644","s":1,"c":["` + Digest{1}.String() + `"]}`, `"a": run lies: chunk 010000000000 is not in redis any more`},
		// Each link is lexically inside; on disk, "up" points to the directory itself, and the next link leads out of it.
		"a link leads out through another":        {"", outward, ""},
		"a file through such a link":              {outward, `{"p":"l/file","m":"644"}`, "path escapes from parent"},
		"a pack through such a link":              {outward, `{"p":"l/file","m":"644","s":7,"c":["` + hex64 + `"]}`, "path escapes from parent"},
		"a folder through such a link":            {outward, `{"p":"l/new","t":"d","m":"755"}`, "path escapes from parent"},
		"a link through such a link":              {outward, `{"p":"l/new","t":"l","l":"file"}`, "path escapes from parent"},
		"a file through an absolute link":         {absolute, `{"p":"l/file","m":"644"}`, "path escapes from parent"},
		"a folder through an absolute link":       {absolute, `{"p":"l/new","t":"d","m":"755"}`, "path escapes from parent"},
		"a link through an absolute link":         {absolute, `{"p":"l/new","t":"l","l":"file"}`, "path escapes from parent"},
		"a file in the place of an absolute link": {absolute, `{"p":"x","m":"644","s":7,"c":["` + hex64 + `"]}`, "too many levels of symbolic links"},
		"a mode in the place of an absolute link": {absolute, `{"p":"l","t":"d","m":"700"}`, "path escapes from parent"},
		"a file in the place of one":              {outward, `{"p":"x","m":"644","s":7,"c":["` + hex64 + `"]}`, "too many levels of symbolic links"},
		"a large file in the place of one":        {outward, `{"p":"x","m":"644","s":1048513,"c":["` + large.String() + `","` + hex64 + `"]}`, "path escapes from parent"},
		"a mode in the place of one":              {outward, `{"p":"l","t":"d","m":"700"}`, "path escapes from parent"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBesides(t)
			restore := func(lines string) error {
				layer := plantLayer(t, s, packed(t, manifest(lines)))
				if _, err := s.Tree(t.Context(), layer); err != nil {
					t.Fatalf("it is no valid tree: %v", err)
				}
				return s.Restore(t.Context(), &Staged{Layer: layer}, b.into)
			}
			if tt.over != "" {
				if err := restore(tt.over); err != nil {
					t.Fatal(err)
				}
			}
			err := restore(tt.lines)
			if tt.want == "" && err != nil || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("Restore says %v, want %s", err, tt.want)
			}
			b.untouched()
		})
	}
}

// outward are lines with links out of the directory: "l" to the directory "beside", "x" to a file.
const outward = `{"p":"a/b/c","t":"d","m":"755"}
{"p":"a/b/c/up","t":"l","l":"../../.."}
{"p":"l","t":"l","l":"a/b/c/up/../beside"}
{"p":"x","t":"l","l":"a/b/c/up/../x"}`

// absolute are lines with absolute links, which a layer may have.
const absolute = `{"p":"l","t":"l","l":"/etc"}
{"p":"x","t":"l","l":"/etc/passwd"}`

// FuzzStoredLayer checks that any bytes stored as a layer, with correct digests, are read as a tree or an error, the same for readers and
// restorers, and that nothing is written outside the directory.
func FuzzStoredLayer(f *testing.F) {
	const (
		text   = iota // an uncompressed manifest; packDigest is replaced by the digest of the pack
		stream        // a compressed manifest
		list          // the list that should contain digests of chunks
	)
	const packDigest = "PACK"
	client := dial(f, redistest.Start(f).URL())
	s := open(f, client, "fuzz")
	tree := leave(f, s, map[string][]byte{"a/small": []byte("hello"), "a/other": []byte("brane"), "empty": nil})
	small, _ := tree.Lookup("a/small")
	pack, err := client.Get(f.Context(), s.chunkKey(small.Chunks[0])).Bytes()
	var whole bytes.Buffer
	if err := errors.Join(err, printManifest(&whole, tree)); err != nil {
		f.Fatal(err)
	}
	zipped := packed(f, whole.String())
	f.Add(uint8(stream), zipped, pack)
	f.Add(uint8(stream), zipped[:len(zipped)/2], pack)
	f.Add(uint8(stream), zipped, pack[:3])
	f.Add(uint8(list), []byte(digestOf(pack).String()+"\n"), pack)
	f.Add(uint8(list), []byte(digestOf(zipped).String()+"\n"), zipped)
	f.Add(uint8(list), []byte(digestOf(zipped).String()+"\njunk\n"), zipped)
	planted := strings.ReplaceAll(whole.String(), small.Chunks[0].String(), packDigest)
	f.Add(uint8(text), []byte(planted), pack)
	f.Add(uint8(text), []byte(planted), pack[:7])
	f.Add(uint8(text), []byte(manifest(outward)), pack)
	for _, tt := range hostile {
		f.Add(uint8(text), []byte(strings.ReplaceAll(manifest(tt.lines), hex64, packDigest)), []byte("content"))
	}
	for _, tt := range broken {
		f.Add(uint8(text), []byte(tt.text), pack)
	}
	f.Fuzz(func(t *testing.T, form uint8, content, pack []byte) {
		if len(content) > ChunkSize || len(pack) > ChunkSize {
			return
		}
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		d := plant(t, s, pack)
		var layer Layer
		switch form {
		case text:
			layer = plantLayer(t, s, packed(t, strings.ReplaceAll(string(content), packDigest, d.String())))
		case stream:
			layer = plantLayer(t, s, content)
		default:
			layer = Layer(plant(t, s, content).String())
		}
		tree, err := s.Tree(t.Context(), layer)
		if err == nil {
			err = tree.checkEntries()
			if err != nil {
				t.Fatalf("a tree that was read is not valid: %v", err)
			}
		}
		b := newBesides(t)
		if restored := s.Restore(t.Context(), &Staged{Layer: layer}, b.into); err != nil && restored == nil {
			t.Fatalf("it was restored, and cannot be read: %v", err)
		}
		b.untouched()
	})
}
