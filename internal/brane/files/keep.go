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

// batch is how many keys one round trip asks for.
const batch = 500

// Keep makes the files at these paths outlive the run's deadline: it writes a layer of just them, in which every file has its
// SHA-256, and takes the deadline from all it needs when all of it is there, so that whoever is killed before leaves nothing for good.
// Symbolic links are followed within the tree. A path that is not there, or is a folder, is in the [MissingError].
func (s *Store) Keep(ctx context.Context, paths []string, from Tree) (Layer, error) {
	entries, err := from.Pick(paths)
	if err != nil {
		return "", fmt.Errorf("run %s: keep outputs: %w", s.run, err)
	}
	if err := s.repack(ctx, entries); err != nil {
		return "", fmt.Errorf("run %s: keep outputs: %w", s.run, err)
	}
	t, err := NewTree(entries)
	if err != nil {
		return "", fmt.Errorf("run %s: keep outputs: %w", s.run, err)
	}
	layer, parts, err := s.putManifest(ctx, t)
	if err != nil {
		return "", fmt.Errorf("run %s: keep outputs: store the list of files: %w", s.run, err)
	}
	return layer, s.persist(ctx, append(parts, chunksIn(t)...))
}

// Pick finds files by their paths, each once. What a link points to goes by the name of the link. What is no file is a [MissingError].
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

// repack copies small files out of the packs they share with files that may go, and gives the large ones their digest.
func (s *Store) repack(ctx context.Context, entries []Entry) error {
	return s.upload(ctx, func(u *upload) error {
		for i := range entries {
			e := &entries[i]
			if e.Size > ChunkSize {
				hash := sha256.New()
				if err := s.Read(ctx, *e, hash); err != nil {
					return err
				}
				hash.Sum(e.SHA256[:0])
				continue
			}
			var content bytes.Buffer
			if err := s.Read(ctx, *e, &content); err != nil {
				return err
			}
			if err := u.addSmall(e, content.Bytes()); err != nil {
				return err
			}
		}
		return nil
	})
}

// chunksIn are the chunks of all files, each once.
func chunksIn(t Tree) []Digest {
	var all []Digest
	for _, e := range t.entries {
		all = append(all, e.Chunks...)
	}
	slices.SortFunc(all, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all)
}

// persist takes the deadline from chunks. One that is gone meanwhile is an error.
func (s *Store) persist(ctx context.Context, chunks []Digest) error {
	err := s.each(ctx, "remove the deadline of chunks", chunks, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Persist(ctx, key)
	}, nil)
	if err != nil {
		return err
	}
	lost, err := s.absent(ctx, chunks)
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		return fmt.Errorf("run %s: remove the deadline of chunks: %d of them %w", s.run, len(lost), ErrGone)
	}
	return nil
}

// absent are the chunks that are not there.
func (s *Store) absent(ctx context.Context, chunks []Digest) (map[Digest]bool, error) {
	lost := map[Digest]bool{}
	err := s.each(ctx, "look for chunks", chunks, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Exists(ctx, key)
	}, func(d Digest, answer redis.Cmder) {
		if n, ok := answer.(*redis.IntCmd); ok && n.Val() == 0 {
			lost[d] = true
		}
	})
	return lost, err
}

// each sends one command for each chunk, many in a round trip.
func (s *Store) each(ctx context.Context, what string, chunks []Digest, command func(context.Context, redis.Pipeliner, string), answer func(Digest, redis.Cmder)) error {
	for some := range slices.Chunk(chunks, batch) {
		var answers []redis.Cmder
		err := s.do(ctx, what, func(ctx context.Context) (err error) {
			answers, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, d := range some {
					command(ctx, p, s.chunkKey(d))
				}
				return nil
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

// Delete removes every key of the run, whatever its deadline, from every master.
func (s *Store) Delete(ctx context.Context) error {
	err := eachMaster(ctx, s.redis, func(ctx context.Context, master *redis.Client) error {
		// A second pass finds nothing on a quiet run. It is there for agents that still wrote during the first.
		for {
			found, err := s.sweep(ctx, master, s.key("*"), func(string) bool { return false })
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

// sweep removes the keys of a pattern from one master, but those that keep wants to keep.
func (s *Store) sweep(ctx context.Context, master *redis.Client, pattern string, keep func(key string) bool) (found bool, err error) {
	for cursor := uint64(0); ; {
		var keys []string
		err := s.retry(ctx, func(ctx context.Context) (err error) {
			page, next, err := master.Scan(ctx, cursor, pattern, 10*batch).Result()
			if err == nil {
				keys, cursor = slices.DeleteFunc(page, keep), next
			}
			return err
		})
		if err != nil {
			return found, err
		}
		if len(keys) > 0 {
			found = true
			err := s.retry(ctx, func(ctx context.Context) error {
				_, err := master.Pipelined(ctx, func(p redis.Pipeliner) error {
					for _, key := range keys { // one by one: in a Cluster they lie in several slots
						p.Unlink(ctx, key)
					}
					return nil
				})
				return err
			})
			if err != nil {
				return found, err
			}
		}
		if cursor == 0 {
			return found, nil
		}
	}
}

// eachMaster runs visit on the one server, the master of a Sentinel group, or all masters of a Cluster.
func eachMaster(ctx context.Context, client redis.UniversalClient, visit func(context.Context, *redis.Client) error) error {
	switch client := client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, visit)
	case *redis.Client:
		return visit(ctx, client)
	}
	return errors.New("the redis client is neither for a single server nor for a Cluster")
}
