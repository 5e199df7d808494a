//go:build long

package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// TestLongServerPausesForAMinute pauses the server for longer than any timeout of the client, and shorter than the patience.
func TestLongServerPausesForAMinute(t *testing.T) {
	server := redistest.Start(t)
	client := dial(t, server.URL())
	broken, mended := make(chan struct{}), make(chan struct{})
	client.AddHook(newInterrupt(5, "set", func() { server.Pause(); close(broken) }))
	go func() {
		defer close(mended)
		<-broken
		<-time.After(time.Minute)
		server.Continue()
	}()
	s, err := Open(Config{Redis: client, Run: "minute", Deadline: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { <-mended }()
	sources := map[string]Source{}
	for i := range 8 {
		sources[fmt.Sprint(i)] = Source{Content: append(make([]byte, 3*ChunkSize), byte(i))}
	}
	ctx := testenv.Context(t)
	var layer Layer
	if err := Again(func() (err error) {
		if layer, err = s.PutInputs(ctx, sources); err == nil {
			err = s.SetInput(ctx, layer)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(ctx, layer)
	if err != nil {
		t.Fatal(err)
	}
	if err := restored(t, s, tree, t.TempDir()); err != nil {
		t.Error(err)
	}
}

// TestLongManyFiles stores and restores 100,000 files and compares the trees.
func TestLongManyFiles(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "many")
	from, to := t.TempDir(), t.TempDir()
	for i := range 100_000 {
		directory := filepath.Join(from, fmt.Sprint("d", i/1000))
		if err := errors.Join(os.MkdirAll(directory, 0o755), os.WriteFile(filepath.Join(directory, fmt.Sprint("f", i)), []byte(fmt.Sprint("content ", i)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	layer, err := snapshotLayer(t.Context(), s, from, nil, nil, "many")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(t.Context(), layer)
	if err != nil || tree.Len() != 100_100 {
		t.Fatalf("%d entries, %v", tree.Len(), err)
	}
	if err := s.Restore(t.Context(), &Staged{Layer: layer}, to); err != nil {
		t.Fatal(err)
	}
	// Without stamps every file is read.
	again, err := snapshotLayer(t.Context(), s, to, &Staged{Layer: layer}, nil, "later")
	if err != nil || again != layer {
		t.Errorf("a snapshot of the restored tree is %s, %v; want %s", again, err, layer)
	}
}

// TestLongAnEndlessLine checks that reading a manifest stops at the limit of a line, which takes a thousandth of its size in Redis.
func TestLongAnEndlessLine(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "endless")
	for name, tt := range map[string]struct{ text, want string }{
		"of an entry":  {manifest(strings.Repeat("a", maxLine+1)), "manifest is corrupt at line 2: bufio.Scanner: token too long"},
		"at the start": {strings.Repeat(" ", maxLine+1), "manifest is corrupt at line 1: bufio.Scanner: token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			layer := plantLayer(t, s, packed(t, tt.text))
			b := newBesides(t)
			err := s.Restore(t.Context(), &Staged{Layer: layer}, b.into)
			if want := "restore into " + b.into + ": layer " + layer.shortText() + ": " + tt.want; fmt.Sprint(err) != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			b.untouched()
		})
	}
}
