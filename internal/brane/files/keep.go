package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// batch is the number of keys in one round trip.
const batch = 500

// Loaded is a file with its content.
type Loaded struct {
	Entry
	Content []byte // nil if the file is larger than the limit of what is loaded
}

// Keep lets the files at these paths outlive the run's deadline. It writes a layer of only these files, each with its SHA-256, and removes
// the deadline of everything it needs once all of it exists, so that an interrupted Keep leaves nothing without a deadline. It follows
// symbolic links within the tree. A path that does not exist or is a directory is reported in a [MissingError].
//
// Keep reads the files, so it also returns the content of those that have at most limit bytes, and not more than a chunk.
func (s *Store) Keep(ctx context.Context, paths []string, from Tree, limit int64) (Layer, []Loaded, error) {
	entries, err := from.Pick(paths)
	if err != nil {
		return "", nil, fmt.Errorf("run %s: keep outputs: %w", s.run, err)
	}
	loaded, err := s.repackEntries(ctx, entries, limit)
	if err != nil {
		return "", nil, fmt.Errorf("run %s: keep outputs: %w", s.run, err)
	}
	t, err := NewTree(entries)
	if err != nil {
		return "", nil, fmt.Errorf("run %s: keep outputs: %w", s.run, err)
	}
	stored, parts, err := s.putManifest(ctx, t)
	if err != nil {
		return "", nil, fmt.Errorf("run %s: keep outputs: store the list of files: %w", s.run, err)
	}
	return stored.Layer, loaded, s.persistChunks(ctx, append(parts, listChunks(t)...))
}

// Load reads a file with its content, unless it has more than limit bytes.
func (s *Store) Load(ctx context.Context, e Entry, limit int64) (Loaded, error) {
	if e.Size > limit {
		return Loaded{Entry: e}, nil
	}
	var content bytes.Buffer
	err := s.Read(ctx, e, &content)
	return Loaded{e, append([]byte{}, content.Bytes()...)}, err
}

// Pick returns the files at these paths, each once. The target of a link gets the name of the link. It reports paths that are not files in
// a [MissingError].
func (t Tree) Pick(paths []string) ([]Entry, error) {
	var entries []Entry
	var missing []string
	paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	for _, name := range paths {
		e, found := t.Resolve(name)
		if !found || !e.IsFile() {
			missing = append(missing, name)
			continue
		}
		e.Path = name
		e.Chunks = slices.Clone(e.Chunks)
		entries = append(entries, e)
	}
	if missing != nil {
		return nil, &MissingError{missing}
	}
	return entries, nil
}

// repackEntries copies small files out of packs that they share with files that may be deleted, and sets the digests of large ones. It
// returns the files, with the content of those that have at most limit bytes.
func (s *Store) repackEntries(ctx context.Context, entries []Entry, limit int64) (loaded []Loaded, err error) {
	err = s.runUpload(ctx, func(u *upload) error {
		loaded = make([]Loaded, len(entries))
		for i := range entries {
			e := &entries[i]
			if e.Size > ChunkSize {
				hash := sha256.New()
				if err := s.Read(ctx, *e, hash); err != nil {
					return err
				}
				hash.Sum(e.SHA256[:0])
				loaded[i] = Loaded{Entry: *e}
				continue
			}
			small, err := s.Load(ctx, *e, ChunkSize)
			if err != nil {
				return err
			}
			if err := u.addSmall(e, small.Content); err != nil {
				return err
			}
			loaded[i] = small
			if e.Size > limit {
				loaded[i].Content = nil
			}
		}
		return nil
	})
	for i := range loaded {
		loaded[i].Entry = entries[i] // which chunk has a small file is known when the upload has ended
	}
	return loaded, err
}

// listChunks returns the chunks of all files, each once.
func listChunks(t Tree) []Digest {
	var all []Digest
	for _, e := range t.entries {
		all = append(all, e.Chunks...)
	}
	slices.SortFunc(all, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all)
}

// persistChunks removes the deadline of chunks. A chunk that does not exist is an error.
func (s *Store) persistChunks(ctx context.Context, chunks []Digest) error {
	err := s.sendForEachChunk(ctx, "remove the deadline of chunks", chunks, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Persist(ctx, key)
	}, nil)
	if err != nil {
		return err
	}
	lost, err := s.findMissingChunks(ctx, chunks)
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		return fmt.Errorf("run %s: remove the deadline of chunks: %d of them %w", s.run, len(lost), ErrGone)
	}
	return nil
}

// findMissingChunks returns the chunks that do not exist.
func (s *Store) findMissingChunks(ctx context.Context, chunks []Digest) (map[Digest]bool, error) {
	lost := map[Digest]bool{}
	err := s.sendForEachChunk(ctx, "look for chunks", chunks, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Exists(ctx, key)
	}, func(d Digest, answer redis.Cmder) {
		if n, ok := answer.(*redis.IntCmd); ok && n.Val() == 0 {
			lost[d] = true
		}
	})
	return lost, err
}

// sendForEachChunk sends one command for each chunk, many in one round trip.
func (s *Store) sendForEachChunk(ctx context.Context, what string, chunks []Digest, command func(context.Context, redis.Pipeliner, string), answer func(Digest, redis.Cmder)) error {
	for some := range slices.Chunk(chunks, batch) {
		var answers []redis.Cmder
		err := s.runCommand(ctx, what, func(ctx context.Context) (err error) {
			answers, err = sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
				for _, d := range some {
					command(ctx, p, s.chunkKey(d))
				}
			})
			return err
		})
		if err != nil {
			return err
		}
		for i := range answers {
			if answer != nil {
				answer(some[i], answers[i])
			}
		}
	}
	return nil
}

// Delete deletes every key of the run from every master, whatever its deadline.
func (s *Store) Delete(ctx context.Context) error {
	err := eachMaster(ctx, s.redis, func(ctx context.Context, master *redis.Client) error {
		// A second pass finds nothing if the run is not active. It handles agents that still wrote during the first.
		for {
			found, err := s.deleteMatchingKeys(ctx, master, s.keyOf("*"), func(string) bool { return false })
			if err != nil || !found {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("run %s: delete its keys: %w", s.run, err)
	}
	return nil
}

// visitMatchingKeys sends a command for each key of one master that matches a pattern, many in one round trip.
func (s *Store) visitMatchingKeys(ctx context.Context, master *redis.Client, pattern string, command func(p redis.Pipeliner, key string)) error {
	for cursor := uint64(0); ; {
		var keys []string
		err := s.retryCommand(ctx, func(ctx context.Context) (err error) {
			page, next, err := master.Scan(ctx, cursor, pattern, 10*batch).Result()
			if err == nil {
				keys, cursor = page, next
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			err := s.retryCommand(ctx, func(ctx context.Context) error {
				_, err := sendPipeline(ctx, master, func(p redis.Pipeliner) {
					for _, key := range keys { // one by one: in a Cluster they are in several slots
						command(p, key)
					}
				})
				return err
			})
			if err != nil {
				return err
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}

// deleteMatchingKeys deletes the keys that match a pattern from one master, except those for which keep returns true.
func (s *Store) deleteMatchingKeys(ctx context.Context, master *redis.Client, pattern string, keep func(key string) bool) (found bool, err error) {
	err = s.visitMatchingKeys(ctx, master, pattern, func(p redis.Pipeliner, key string) {
		if !keep(key) {
			found = true
			p.Unlink(ctx, key)
		}
	})
	return found, err
}

// eachMaster runs visit on the single server, the master of a Sentinel group, or all masters of a Cluster.
func eachMaster(ctx context.Context, client redis.UniversalClient, visit func(context.Context, *redis.Client) error) error {
	switch client := client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, visit)
	case *redis.Client:
		return visit(ctx, client)
	}
	return errors.New("the redis client is neither for a single server nor for a Cluster")
}
