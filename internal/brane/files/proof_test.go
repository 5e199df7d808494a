package files

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// noise returns content in which no two chunks are the same. The same seed returns the same content.
func noise(seed uint64, size int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	content := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(content) // it never fails
	return content
}

// losing is a server that loses what it has accepted, immediately or around the first try to publish. It restarts empty, like a replica
// that takes over without having any of it; a client silently replaces its closed idle connections.
type losing struct {
	what         string
	before       func(*Store, *redistest.Server, []Digest)
	first, after func(*redistest.Server)
}

// TestNothingLostIsPublished checks all operations that publish.
func TestNothingLostIsPublished(t *testing.T) {
	sources := map[string]Source{"small": {Content: []byte("alice")}, "large": {Content: noise(1, 3*ChunkSize)}}
	for _, tt := range []losing{
		{what: "everything", before: func(_ *Store, server *redistest.Server, _ []Digest) { server.Kill(); server.Restart() }},
		{what: "everything in the first try", first: (*redistest.Server).Kill, after: (*redistest.Server).Restart},
		// As if only one master of a Cluster fails over.
		{what: "one chunk", before: func(s *Store, server *redistest.Server, chunks []Digest) {
			server.Client().Del(t.Context(), s.chunkKey(chunks[0]))
		}},
	} {
		for _, there := range []bool{false, true} {
			for _, key := range []string{"in", "step:" + resultOf("step").String()} {
				t.Run(fmt.Sprintf("%s, there already: %v, publish %s", tt.what, there, key), func(t *testing.T) {
					server := redistest.Start(t)
					client := dial(t, server.URL())
					put := func(s *Store) Layer {
						layer, err := s.PutInputs(t.Context(), sources)
						if err != nil {
							t.Fatal(err)
						}
						return layer
					}
					if there {
						put(open(t, client, "lost"))
					}
					s := open(t, client, "lost")
					publish := func(layer Layer) error {
						if key == "in" {
							return s.SetInput(t.Context(), layer)
						}
						_, _, err := s.Commit(t.Context(), resultOf("step"), Record{Layer: layer})
						return err
					}
					layer := put(s)
					tree, err := s.Tree(t.Context(), layer)
					if err != nil {
						t.Fatal(err)
					}
					if tt.before != nil {
						tt.before(s, server, listChunks(tree))
					} else {
						client.AddHook(&around{command: "set", before: func() { tt.first(server) }, after: func() { tt.after(server) }})
					}
					if err := publish(layer); !errors.Is(err, ErrLost) {
						t.Errorf("it says %v", err)
					}
					if n := client.Exists(t.Context(), s.keyOf(key)).Val(); n != 0 {
						t.Error("it was published")
					}
					if err := publish(put(s)); err != nil {
						t.Errorf("when it was stored again: %v", err)
					}
					if err := restored(t, s, tree, t.TempDir()); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// around runs a function before or after the first command with a name.
type around struct {
	command       string
	before, after func()
	happened      bool
}

func (f *around) DialHook(next redis.DialHook) redis.DialHook { return next }
func (f *around) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (f *around) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != f.command || f.happened {
			return next(ctx, cmd)
		}
		f.happened = true
		f.before()
		defer f.after()
		return next(ctx, cmd)
	}
}
