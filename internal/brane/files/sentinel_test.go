package files

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestSentinelFailsOver: the master is gone in the middle of an upload, and in the middle of a stage-in; the replica takes over.
func TestSentinelFailsOver(t *testing.T) {
	content := map[string][]byte{}
	for i := range 6 {
		content[fmt.Sprint("file", i)] = fmt.Append(make([]byte, 3*ChunkSize), i)
	}
	t.Run("in the middle of an upload", func(t *testing.T) {
		sentinel := redistest.StartSentinel(t)
		client := dial(t, sentinel.URL())
		s := open(t, client, "upload")
		client.AddHook(newInterrupt(5, "set", sentinel.Master.Kill))
		sources := map[string]Source{}
		for name, text := range content {
			sources[name] = Source{Content: text}
		}
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
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
		// The replica alone has it all.
		replica := open(t, sentinel.Replica.Client(), "upload")
		layer, err := replica.Input(ctx)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := replica.Tree(ctx, layer)
		if err != nil {
			t.Fatal(err)
		}
		if err := restored(t, replica, tree, t.TempDir()); err != nil {
			t.Error(err)
		}
	})
	t.Run("in the middle of a stage-in", func(t *testing.T) {
		sentinel := redistest.StartSentinel(t)
		client := dial(t, sentinel.URL())
		s := open(t, client, "stage")
		tree := leave(t, s, content)
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		// What is read later has reached the replica.
		if n, err := sentinel.Master.Client().Wait(ctx, 1, time.Minute).Result(); err != nil || n != 1 {
			t.Fatalf("%d replicas have it, %v", n, err)
		}
		client.AddHook(newInterrupt(5, "get", sentinel.Master.Kill))
		if err := restored(t, s, tree, t.TempDir()); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatTheServerHasLostIsStoredAgain: chunks that were answered with OK are gone after a disturbance, as after a fail-over to a replica that did not have them yet.
func TestWhatTheServerHasLostIsStoredAgain(t *testing.T) {
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
	if _, _, err := s.Commit(ctx, "step", Record{Layer: layer}); !errors.Is(err, ErrLost) {
		t.Errorf("Commit says %v", err)
	}
	if n := client.Exists(ctx, s.key("step:step")).Val(); n != 0 {
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
