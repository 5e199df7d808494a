package files

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestStoredAgainUntilTheLaterDeadline checks that what a later execution stores does not expire with an earlier one that has stored the same.
func TestStoredAgainUntilTheLaterDeadline(t *testing.T) {
	large, small := noise(1, 3*ChunkSize), []byte("hello")
	inputs := map[string]Source{"large": {Content: large}, "small": {Content: small}}
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "large"), large, 0o600), os.WriteFile(filepath.Join(dir, "small"), small, 0o600)); err != nil {
		t.Fatal(err)
	}
	put := func(sources map[string]Source) func(*Store) (Layer, error) {
		return func(s *Store) (Layer, error) { return s.PutInputs(t.Context(), sources) }
	}
	snapshot := func(s *Store) (Layer, error) { return snapshotLayer(t.Context(), s, dir, nil, nil, "step") }
	clients := map[string]redis.UniversalClient{"one server": dial(t, redistest.Start(t).URL()), "a Cluster": dial(t, redistest.StartCluster(t).URL())}
	for name, tt := range map[string]struct{ first, second func(*Store) (Layer, error) }{
		"inputs":               {put(inputs), put(inputs)},
		"the files of a step":  {snapshot, snapshot},
		"inputs, then a step":  {put(inputs), snapshot},
		"one chunk is missing": {put(map[string]Source{"large": {Content: large[ChunkSize:]}}), put(inputs)},
		"only a list is new":   {put(inputs), put(map[string]Source{"another": {Content: large}, "small": {Content: small}})},
	} {
		for server, client := range clients {
			t.Run(name+" on "+server, func(t *testing.T) {
				s, ctx := open(t, client, "again"), t.Context()
				defer s.Delete(ctx) //nolint:errcheck // then the next case fails
				first, err := tt.first(s)
				if err != nil {
					t.Fatal(err)
				}
				kept := s.keyOf("c:" + string(first))
				if err := client.Persist(ctx, kept).Err(); err != nil {
					t.Fatal(err)
				}
				next := later(t, s)
				for _, latest := range []*Store{next, s} { // an agent of the earlier execution may store it last
					layer, err := tt.second(latest)
					if err != nil {
						t.Fatal(err)
					}
					tree, err := s.Tree(ctx, layer)
					if err != nil {
						t.Fatal(err)
					}
					needed, err := s.listNeededChunks(ctx, layer, tree)
					if err != nil {
						t.Fatal(err)
					}
					for _, d := range needed {
						key := s.chunkKey(d)
						if at := client.ExpireTime(ctx, key).Val(); key != kept && at != time.Duration(next.deadline.Unix())*time.Second {
							t.Errorf("%s expires at %s, want %d s", key, at, next.deadline.Unix())
						}
					}
				}
				if at := client.ExpireTime(ctx, kept).Val(); at != -1 {
					t.Errorf("a chunk without a deadline expires at %s", at)
				}
			})
		}
	}
}

// TestNewFilesAreLookedForOnce counts the commands for a new file: one asks whether its chunk exists, and one whether the manifest does.
func TestNewFilesAreLookedForOnce(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	s := open(t, client, "new")
	var asked atomic.Int32
	client.AddHook(counted{&asked})
	if _, err := s.PutInputs(t.Context(), map[string]Source{"small": {Content: []byte("hello")}}); err != nil {
		t.Fatal(err)
	}
	if got := asked.Load(); got != 2 {
		t.Errorf("it has asked %d times, want 2", got)
	}
}
