package files

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// tally kills a master before the nth command with a name, and counts the commands that were answered before and after.
type tally struct {
	*interrupt
	killed        atomic.Bool
	before, after atomic.Int32
}

func newTally(n int, command string, master *redistest.Server) *tally {
	c := &tally{}
	c.interrupt = newInterrupt(n, command, func() {
		master.Kill()
		c.killed.Store(true)
	})
	return c
}

func (c *tally) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return c.interrupt.ProcessHook(func(ctx context.Context, cmd redis.Cmder) error {
		killed := c.killed.Load()
		err := next(ctx, cmd)
		switch {
		case cmd.Name() != c.command || err != nil:
		case killed:
			c.after.Add(1)
		default:
			c.before.Add(1)
		}
		return err
	})
}

// middle fails the test if the master was not killed in the middle.
func (c *tally) middle(t *testing.T, least int32) {
	t.Helper()
	if before, after := c.before.Load(), c.after.Load(); before < least || after < least {
		t.Errorf("%d times %s before the fail-over and %d times after it, want %d at least", before, c.command, after, least)
	}
}

// TestSentinelFailsOver kills the master during an upload and during a stage-in; the replica takes over.
func TestSentinelFailsOver(t *testing.T) {
	const count, chunks = 6, 4
	content := map[string][]byte{}
	for i := range count {
		content[fmt.Sprint("m/file", i)] = noise(uint64(i), chunks*ChunkSize)
	}
	t.Run("in the middle of an upload", func(t *testing.T) {
		sentinel := redistest.StartSentinel(t)
		client := dial(t, sentinel.URL())
		s := open(t, client, "upload")
		counted := newTally(count*chunks/2, "set", sentinel.Master)
		client.AddHook(counted)
		sources := map[string]Source{}
		for name, text := range content {
			sources[name] = Source{Content: text}
		}
		ctx := testenv.Context(t)
		err := Again(func() error {
			layer, err := s.PutInputs(ctx, sources)
			if err == nil {
				err = s.SetInput(ctx, layer)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		counted.middle(t, chunks)
		// The replica has all of it.
		replica := open(t, sentinel.Replica.Client(), "upload")
		layer, err := replica.Input(ctx)
		if err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		if err := replica.Restore(ctx, &Staged{Layer: layer}, to); err != nil {
			t.Fatal(err)
		}
		same(t, content, to)
	})
	t.Run("in the middle of a stage-in", func(t *testing.T) {
		sentinel := redistest.StartSentinel(t)
		client := dial(t, sentinel.URL())
		s := open(t, client, "stage")
		ctx := testenv.Context(t)
		// The files that are read, between those that only make the manifest several chunks long.
		entries := slices.Collect(leave(t, s, content).All())
		i := 0
		for random := range slices.Chunk(noise(count, 3<<20), 512) {
			link := Entry{Path: fmt.Sprintf("%s/%d", []string{"a", "z"}[i%2], i), Mode: fs.ModeSymlink | 0o777, Link: hex.EncodeToString(random)}
			entries = append(entries, link)
			i++
		}
		tree, err := NewTree(entries)
		if err != nil {
			t.Fatal(err)
		}
		layer, err := s.PutTree(ctx, tree)
		if err != nil {
			t.Fatal(err)
		}
		if parts, err := s.manifestParts(ctx, layer); err != nil || len(parts) < 3 {
			t.Fatalf("the manifest has %d chunks, %v", len(parts), err)
		}
		// What is read later must have reached the replica.
		if n, err := sentinel.Master.Client().Wait(ctx, 1, time.Minute).Result(); err != nil || n != 1 {
			t.Fatalf("%d replicas have it, %v", n, err)
		}
		counted := newTally(count*chunks/2, "get", sentinel.Master)
		client.AddHook(counted)
		to := t.TempDir()
		if err := s.Restore(ctx, &Staged{Layer: layer, Reads: Patterns{"m/**"}}, to); err != nil {
			t.Fatal(err)
		}
		counted.middle(t, chunks)
		same(t, content, to)
	})
}

// same fails the test if files do not have the expected content.
func same(t *testing.T, want map[string][]byte, dir string) {
	t.Helper()
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%q differs: %d bytes of %d, %v", name, len(got), len(content), err)
		}
	}
}

// TestLostChunksAreStoredAgain deletes chunks that the server has accepted, as after a fail-over to a replica that did not have
// them yet.
func TestLostChunksAreStoredAgain(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	s := open(t, client, "lost")
	ctx := t.Context()
	put := func() (Layer, error) {
		return s.PutInputs(ctx, map[string]Source{"a": {Content: []byte("alice")}, "b": {Content: make([]byte, 3*ChunkSize)}})
	}
	layer, err := put()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(ctx, layer)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := tree.Lookup("a")
	client.Del(ctx, s.chunkKey(e.Chunks[0]))
	if _, _, err := s.Commit(ctx, resultOf("step"), Record{Layer: layer}); !errors.Is(err, ErrLost) {
		t.Errorf("Commit says %v", err)
	}
	if n := client.Exists(ctx, s.resultKey("step", resultOf("step"))).Val(); n != 0 {
		t.Error("it was committed")
	}
	if _, err := put(); err != nil {
		t.Fatal(err)
	}
	client.Del(ctx, s.chunkKey(e.Chunks[0]))
	tries := 0
	err = Again(func() error {
		tries++
		if tries > 1 {
			if layer, err = put(); err != nil {
				return err
			}
		}
		return s.SetInput(ctx, layer)
	})
	if err != nil || tries != 2 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	if err := restored(t, s, tree, t.TempDir()); err != nil {
		t.Error(err)
	}
}
