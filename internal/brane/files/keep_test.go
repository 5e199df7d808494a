package files

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// leave stores a tree of a few files, as a step leaves it.
func leave(t testing.TB, s *Store, content map[string][]byte) Tree {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o750), os.WriteFile(at, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("small", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	layer, err := snapshotLayer(t.Context(), s, dir, nil, nil, "step")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(t.Context(), layer)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestKeptFilesOutliveTheDeadline checks that only the outputs remain after the run's deadline.
func TestKeptFilesOutliveTheDeadline(t *testing.T) {
	server := redistest.Start(t)
	client := dial(t, server.URL())
	s := open(t, client, "keep")
	large := bytes.Repeat([]byte("0123456789"), 300_000)
	tree := leave(t, s, map[string][]byte{"small": []byte("hello"), "out/large": large, "other": bytes.Repeat([]byte{1}, 2*ChunkSize), "empty": nil})
	layer, _, err := s.Keep(t.Context(), []string{"link", "out/large", "small", "small", "empty"}, tree, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The run's deadline passes: every key with a deadline is deleted.
	for _, key := range client.Keys(t.Context(), "*").Val() {
		if client.TTL(t.Context(), key).Val() > 0 {
			client.Del(t.Context(), key)
		}
	}
	if lost, changed, err := s.Damage(t.Context(), layer); err != nil || lost != nil || changed != nil {
		t.Errorf("Damage says %q, %q, %v", lost, changed, err)
	}
	kept, err := s.Tree(t.Context(), layer)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{"link": []byte("hello"), "small": []byte("hello"), "out/large": large, "empty": nil}
	if kept.Len() != len(want) {
		t.Errorf("%d files are kept, want %d", kept.Len(), len(want))
	}
	for name, content := range want {
		e, _ := kept.Lookup(name)
		var got bytes.Buffer
		if err := s.Read(t.Context(), e, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("%s: read %d bytes, %v; want %d", name, got.Len(), err, len(content))
		}
		if e.SHA256 != sha256.Sum256(content) || e.Size != int64(len(content)) {
			t.Errorf("%s has digest %s and size %d", name, e.SHA256, e.Size)
		}
	}
	// Three chunks of "large", one pack, the manifest and its list.
	if n := client.DBSize(t.Context()).Val(); n != 6 {
		t.Errorf("%d keys are kept, want 6", n)
	}
	e, _ := kept.Lookup("out/large")
	client.Del(t.Context(), s.chunkKey(e.Chunks[1]))
	if lost, changed, err := s.Damage(t.Context(), layer); err != nil || !slices.Equal(lost, []string{"out/large"}) || changed != nil {
		t.Errorf("with a chunk gone, Damage says %q, %q, %v", lost, changed, err)
	}
	if err := s.Read(t.Context(), e, &bytes.Buffer{}); !errors.Is(err, ErrGone) {
		t.Errorf("with a chunk gone, Read says %v", err)
	}
	client.FlushAll(t.Context())
	if _, _, err := s.Damage(t.Context(), layer); !errors.Is(err, ErrGone) {
		t.Errorf("with all gone, Damage says %v", err)
	}
}

func TestKeepNamesWhatIsMissing(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "keep")
	tree := leave(t, s, map[string][]byte{"small": nil, "out/x": nil})
	_, _, err := s.Keep(t.Context(), []string{"small", "words", "out", "out/y"}, tree, 0)
	if want := `run keep: keep outputs: no such file: "out", "out/y", "words"`; fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	var missing *MissingError
	if !errors.As(err, &missing) || !slices.Equal(missing.Paths, []string{"out", "out/y", "words"}) {
		t.Errorf("the error has %v", missing)
	}
}

func TestResolveFollowsLinksInside(t *testing.T) {
	tree, err := NewTree([]Entry{
		{Path: "d", Mode: os.ModeDir | 0o755}, {Path: "d/f", Mode: 0o644},
		{Path: "to-d", Mode: os.ModeSymlink | 0o777, Link: "d"},
		{Path: "d/to-f", Mode: os.ModeSymlink | 0o777, Link: "../to-d/f"},
		{Path: "loop", Mode: os.ModeSymlink | 0o777, Link: "loop"},
		{Path: "nowhere", Mode: os.ModeSymlink | 0o777, Link: "gone"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"d/f": "d/f", "to-d/f": "d/f", "to-d/to-f": "d/f", "d/to-f": "d/f", "to-d": "d",
		"loop": "", "loop/x": "", "nowhere": "", "gone": "",
	} {
		if e, _ := tree.Resolve(name); e.Path != want {
			t.Errorf("%s leads to %q, want %q", name, e.Path, want)
		}
	}
}

func TestTracePathNamesLinksAndTheirTargets(t *testing.T) {
	tree, err := NewTree([]Entry{
		{Path: "d", Mode: os.ModeDir | 0o755}, {Path: "d/e", Mode: os.ModeDir | 0o755}, {Path: "d/e/f", Mode: 0o644},
		{Path: "latest", Mode: os.ModeSymlink | 0o777, Link: "to-d/e/f"},
		{Path: "loop", Mode: os.ModeSymlink | 0o777, Link: "loop"},
		{Path: "outside", Mode: os.ModeSymlink | 0o777, Link: "../x"},
		{Path: "to-d", Mode: os.ModeSymlink | 0o777, Link: "d"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"d/e/f": {"d", "d/e", "d/e/f"}, "latest": {"d", "d/e", "d/e/f", "latest", "to-d", "to-d/e", "to-d/e/f"}, "d/x": {"d", "d/x"}, "loop": {"loop"},
		"outside": {"..", "../x", "outside"},
	} {
		if got := slices.Compact(slices.Sorted(slices.Values(tree.TracePath(name)))); !slices.Equal(got, want) {
			t.Errorf("%s is decided by %q, want %q", name, got, want)
		}
	}
}

// TestDeleteLeavesNothing checks that the keys of one run are deleted, with and without a deadline, and the keys of others remain.
func TestDeleteLeavesNothing(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	ctx := t.Context()
	if err := client.Set(ctx, "somebody:else", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	other := open(t, client, "run-10")
	leave(t, other, map[string][]byte{"small": []byte("theirs")})
	before := client.DBSize(ctx).Val()
	s := open(t, client, "run-1")
	content := map[string][]byte{"large": bytes.Repeat([]byte("x"), 5*ChunkSize)}
	tree := leave(t, s, content)
	_, _, err := s.Keep(ctx, []string{"large"}, tree, 0)
	_, _, commit := s.Commit(ctx, resultOf("step"), Record{Layer: someLayer})
	if err := errors.Join(err, commit, s.SetLog(ctx, resultOf("step"), []byte("log")), s.SetMeta(ctx, map[string]string{"owner": "me"}), s.Cancel(ctx, 1), s.SetInput(ctx, someLayer)); err != nil {
		t.Fatal(err)
	}
	// More keys than fit into one page of SCAN.
	for i := range 3000 {
		client.Set(ctx, s.keyOf(fmt.Sprint("c:", i)), "1", time.Hour)
	}
	if meta, err := s.Meta(ctx); err != nil || meta["owner"] != "me" {
		t.Errorf("Meta is %v, %v", meta, err)
	}
	if err := s.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if after := client.DBSize(ctx).Val(); after != before {
		t.Errorf("%d keys are left, %d were there before", after, before)
	}
	if err := s.Delete(ctx); err != nil {
		t.Errorf("a second Delete says %v", err)
	}
}

// TestEveryKeyOfARunHasItsDeadline checks that an abandoned run deletes itself.
func TestEveryKeyOfARunHasItsDeadline(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	s := open(t, client, "deadline")
	ctx := t.Context()
	leave(t, s, map[string][]byte{"small": []byte("1"), "large": make([]byte, 2*ChunkSize+1)})
	_, _, err := s.Commit(ctx, resultOf("step"), Record{Layer: someLayer})
	if err := errors.Join(err, s.SetLog(ctx, resultOf("step"), nil), s.SetMeta(ctx, map[string]string{"a": "b"}), s.SetInput(ctx, someLayer), s.Cancel(ctx, 1)); err != nil {
		t.Fatal(err)
	}
	for _, key := range client.Keys(ctx, "*").Val() {
		if at := client.ExpireTime(ctx, key).Val(); time.Unix(0, 0).Add(at).Unix() != s.deadline.Unix() {
			t.Errorf("%s expires at %v, want %d", strings.TrimPrefix(key, prefix), at, s.deadline.Unix())
		}
	}
}

// TestReleasedFilesExpire checks that the outputs of an earlier execution expire, but not what later outputs need.
func TestReleasedFilesExpire(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	s := open(t, client, "release")
	large := bytes.Repeat([]byte("0123456789"), 300_000)
	tree := leave(t, s, map[string][]byte{"small": []byte("hello"), "large": large, "other": []byte("other")})
	keep := func(paths ...string) Layer {
		layer, _, err := s.Keep(t.Context(), paths, tree, 0)
		if err != nil {
			t.Fatal(err)
		}
		return layer
	}
	kept := func() (count int) {
		for _, key := range client.Keys(t.Context(), "*").Val() {
			if client.TTL(t.Context(), key).Val() < 0 {
				count++
			}
		}
		return count
	}
	before := keep("small", "large")
	now := keep("large", "other")
	if err := s.Release(t.Context(), before, now); err != nil {
		t.Fatal(err)
	}
	if lost, changed, err := s.Damage(t.Context(), now); err != nil || lost != nil || changed != nil {
		t.Errorf("Damage says %q, %q, %v", lost, changed, err)
	}
	both := kept()
	if err := s.Release(t.Context(), now, ""); err != nil {
		t.Fatal(err)
	}
	if rest := kept(); both == 0 || rest != 0 {
		t.Errorf("%d keys of the later outputs are kept, and %d when these are released", both, rest)
	}
	if err := s.Release(t.Context(), Layer(Digest{}.String()), ""); err != nil {
		t.Errorf("a layer that is lost: %v", err)
	}
}
