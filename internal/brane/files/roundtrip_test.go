package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// open returns a store whose deadline is long after the test.
func open(t testing.TB, client redis.UniversalClient, run string) *Store {
	t.Helper()
	s, err := Open(Config{Redis: client, Run: run, Deadline: time.Now().Add(time.Hour), Patience: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dial returns a client as users get it.
func dial(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	c, err := Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // a test may have closed it
	return c
}

// restored restores a tree into a directory as it is: it need not be valid for storing.
func restored(t testing.TB, s *Store, tree Tree, dir string) error {
	t.Helper()
	return s.restoreTree(t.Context(), &tree, &Staged{}, dir)
}

// stage restores a tree as the agent does.
func stage(ctx context.Context, t testing.TB, s *Store, tree Tree, reads Patterns, dir string) (*Staged, error) {
	t.Helper()
	layer, err := s.PutTree(ctx, tree)
	if err != nil {
		return nil, err
	}
	stamps, err := os.Create(filepath.Join(t.TempDir(), "stamps"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = stamps.Close() }) // it is not used any more
	staged := &Staged{Layer: layer, Reads: reads, Stamps: stamps}
	return staged, s.Restore(ctx, staged, dir)
}

// snapshotLayer returns the layer that Snapshot stores.
func snapshotLayer(ctx context.Context, s *Store, dir string, staged *Staged, writes Patterns, by string) (Layer, error) {
	stored, err := s.Snapshot(ctx, dir, staged, writes, by)
	return stored.Layer, err
}

// disk returns the mode and the content or target of everything in a directory.
func disk(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	var walk func(string)
	walk = func(rel string) {
		list, err := os.ReadDir(filepath.Join(dir, rel))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			name := rel + "/" + d.Name()
			at := filepath.Join(dir, name)
			info, err := os.Lstat(at)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case info.IsDir():
				found[name] = info.Mode().String()
				walk(name)
			case info.Mode()&fs.ModeSymlink != 0:
				target, err := os.Readlink(at)
				if err != nil {
					t.Fatal(err)
				}
				found[name] = "-> " + target
			default:
				content, err := os.ReadFile(at) // a test's own directory
				if err != nil {
					t.Fatal(err)
				}
				found[name] = fmt.Sprintf("%s %d %x", info.Mode(), len(content), sha256.Sum256(content))
			}
		}
	}
	walk("")
	return found
}

// grow creates a random tree: sizes around the borders of a chunk, unusual names, links, empty directories.
func grow(t testing.TB, r *rand.Rand, dir string) {
	t.Helper()
	sizes := []int{0, 1, 4096, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize, 2*ChunkSize + 777}
	names := []string{"a", "b c", "n\nl", "ü", "bad\xff\xfe", "-", "...", "x.y", "a-b"}
	modes := []os.FileMode{0o644, 0o600, 0o755, 0o444, 0o755 | os.ModeSetuid, 0o666}
	folders := []string{"."}
	for i := range 10 + r.IntN(30) {
		name := filepath.Join(folders[r.IntN(len(folders))], names[r.IntN(len(names))]+fmt.Sprint(i))
		at := filepath.Join(dir, name)
		var err error
		switch k := r.IntN(10); {
		case k < 3:
			folders = append(folders, name)
			err = os.Mkdir(at, 0o750)
		case k < 4:
			err = os.Symlink(names[r.IntN(len(names))], at)
		default:
			size := sizes[r.IntN(len(sizes))]
			if k < 7 {
				size = r.IntN(5000)
			}
			content := make([]byte, size)
			for j := range content {
				content[j] = byte(r.Uint32())
			}
			if err = os.WriteFile(at, content, 0o600); err == nil {
				err = os.Chmod(at, modes[r.IntN(len(modes))])
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoundTrip checks that Snapshot and Restore copy a directory, and that a second Snapshot of the copy, with and without reading the
// files again, is the same layer.
func TestRoundTrip(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "round-trip")
	ctx := t.Context()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			from, to := t.TempDir(), t.TempDir()
			grow(t, rand.New(rand.NewPCG(seed, 1)), from)
			layer, err := snapshotLayer(ctx, s, from, nil, nil, "grow")
			if err != nil {
				t.Fatal(err)
			}
			tree, err := s.Tree(ctx, layer)
			if err != nil {
				t.Fatal(err)
			}
			staged, err := stage(ctx, t, s, tree, nil, to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(disk(t, from), disk(t, to)); diff != "" {
				t.Errorf("the restored tree differs (-from +to):\n%s", diff)
			}
			again, err := snapshotLayer(ctx, s, to, &Staged{Layer: layer}, nil, "later")
			if err != nil || again != layer {
				t.Errorf("a snapshot of the restored tree, read again, is %s, %v; want %s", again, err, layer)
			}
			again, err = snapshotLayer(ctx, s, to, staged, nil, "later")
			if err != nil || again != layer {
				t.Errorf("a snapshot of the restored tree is %s, %v; want %s", again, err, layer)
			}
		})
	}
}

func TestInputsAreReadBack(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "inputs")
	ctx := t.Context()
	large := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, large, 0o600); err != nil {
		t.Fatal(err)
	}
	layer, err := s.PutInputs(ctx, map[string]Source{
		"corpus/a.txt": {Content: []byte("alice")},
		"corpus/b.txt": {Content: []byte{}},
		"large":        {Path: file, Mode: 0o600},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetInput(ctx, layer); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Input(ctx); err != nil || got != layer {
		t.Fatalf("Input is %s, %v; want %s", got, err, layer)
	}
	tree, err := s.Tree(ctx, layer)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for e := range tree.All() {
		paths = append(paths, e.Path)
	}
	if want := []string{"corpus", "corpus/a.txt", "corpus/b.txt", "large"}; !slices.Equal(paths, want) {
		t.Errorf("paths are %q, want %q", paths, want)
	}
	for name, want := range map[string][]byte{"corpus/a.txt": []byte("alice"), "corpus/b.txt": nil, "large": large} {
		e, _ := tree.Lookup(name)
		var got bytes.Buffer
		if err := s.Read(ctx, e, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: read %d bytes, %v; want %d", name, got.Len(), err, len(want))
		}
	}
}

// TestWalkFollowsPathOrder checks that each path is one entry although "-" sorts before "/", so that a neighbour of a directory may
// come between it and its content.
func TestWalkFollowsPathOrder(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "order")
	dir := t.TempDir()
	want := []string{"a", "a!b", "a-", "a-/x", "a-b", "a/b", "a/b-c", "a/b/d", "a0", "ab"}
	for _, name := range want {
		at := filepath.Join(dir, name)
		var err error
		if slices.ContainsFunc(want, func(other string) bool { return filepath.Dir(other) == name }) {
			err = os.Mkdir(at, 0o750)
		} else {
			err = os.WriteFile(at, []byte(name), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	layer, err := snapshotLayer(t.Context(), s, dir, nil, nil, "step")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(t.Context(), layer)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := range tree.All() {
		got = append(got, e.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestManyTinyFilesDoNotShareOnePack checks the limit, as all files of a pack are held in memory together.
func TestManyTinyFilesDoNotShareOnePack(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "tiny")
	from, to := t.TempDir(), t.TempDir()
	for i := range 2*packFiles + 10 {
		if err := os.WriteFile(filepath.Join(from, fmt.Sprint("f", i)), []byte(fmt.Sprint(i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	layer, err := snapshotLayer(t.Context(), s, from, nil, nil, "step")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(t.Context(), layer)
	if err != nil || len(listChunks(tree)) != 3 {
		t.Errorf("the files are in %d packs, %v; want 3", len(listChunks(tree)), err)
	}
	if err := s.Restore(t.Context(), &Staged{Layer: layer}, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(disk(t, from), disk(t, to)); diff != "" {
		t.Errorf("the restored tree differs (-from +to):\n%s", diff)
	}
}
