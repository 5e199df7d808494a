package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Verified is how much of a layer [Store.Damage] reads and verifies, the smallest files first. Of the rest it checks only the sizes: each
// plan checks each set and each run, and the server may be far away.
const Verified = 4 << 20

// Damage returns the files of a layer, made by [Store.Keep] or [Set.Put], that Redis has lost or that were changed, as far as reading
// [Verified] bytes can show. If the manifest itself is damaged, which means all files, the error wraps [ErrGone] or [ErrCorrupt].
//
// It also removes deadlines again that should have been removed: a server that fails over to a replica, or restarts from a snapshot, may have
// lost that, and would delete the files much later.
func (s *Store) Damage(ctx context.Context, layer Layer) (lost, changed []string, err error) {
	t, err := s.Tree(ctx, layer)
	if err != nil {
		return nil, nil, err
	}
	if err := s.removeDeadlines(ctx, layer, t); err != nil {
		return nil, nil, err
	}
	damaged, err := s.findDamagedChunks(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range t.entries {
		gone, other := false, false
		for _, d := range e.Chunks {
			gone = gone || errors.Is(damaged[d], ErrGone)
			other = other || damaged[d] != nil
		}
		switch {
		case gone:
			lost = append(lost, e.Path)
		case other:
			changed = append(changed, e.Path)
		}
	}
	return lost, changed, nil
}

// removeDeadlines removes the deadlines of all chunks that a layer needs, as far as they exist. A user that may only read cannot.
func (s *Store) removeDeadlines(ctx context.Context, layer Layer, t Tree) error {
	needed, err := s.listNeededChunks(ctx, layer, t)
	if err != nil {
		return err
	}
	err = s.sendForEachChunk(ctx, "remove deadlines again", needed, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Persist(ctx, key)
	}, nil)
	return ignoreForbidden(err)
}

// findDamagedChunks returns the chunks of a tree's files that are lost or changed.
func (s *Store) findDamagedChunks(ctx context.Context, t Tree) (map[Digest]error, error) {
	sizes := chunkSizes(t)
	damaged := map[Digest]error{}
	err := s.sendForEachChunk(ctx, "read the sizes of chunks", listChunks(t), func(ctx context.Context, p redis.Pipeliner, key string) {
		p.StrLen(ctx, key)
	}, func(d Digest, answer redis.Cmder) {
		switch n, ok := answer.(*redis.IntCmd); {
		case ok && n.Val() == 0: // no chunk is empty
			damaged[d] = ErrGone
		case ok && n.Val() != sizes[d]:
			damaged[d] = ErrCorrupt
		}
	})
	if err != nil {
		return nil, err
	}
	var some []Digest
	left := int64(Verified)
	bySize := slices.Clone(t.entries)
	slices.SortFunc(bySize, func(a, b *Entry) int { return cmp.Compare(a.Size, b.Size) })
	for _, e := range bySize {
		for _, d := range e.Chunks {
			if size, unseen := sizes[d]; unseen && damaged[d] == nil && size <= left {
				some, left = append(some, d), left-size
			}
			delete(sizes, d)
		}
	}
	read, err := s.findInvalidChunks(ctx, some)
	maps.Copy(damaged, read)
	return damaged, err
}

// chunkSizes returns the sizes of the chunks of all files of a tree. It assumes that no chunk holds files that are not in the tree.
func chunkSizes(t Tree) map[Digest]int64 {
	sizes := map[Digest]int64{}
	for _, e := range t.entries {
		end := e.Offset + e.Size
		for _, d := range e.Chunks {
			sizes[d] = max(sizes[d], min(end, ChunkSize))
			end -= ChunkSize
		}
	}
	return sizes
}

// findInvalidChunks reads chunks and returns those that are lost or changed.
func (s *Store) findInvalidChunks(ctx context.Context, chunks []Digest) (map[Digest]error, error) {
	var mu sync.Mutex
	damaged := map[Digest]error{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.workerCount())
	for _, d := range chunks {
		group.Go(func() error {
			buffer, release := s.acquireBuffer()
			defer release()
			_, err := s.getChunk(ctx, d, buffer)
			if errors.Is(err, ErrGone) || errors.Is(err, ErrCorrupt) {
				mu.Lock()
				defer mu.Unlock()
				damaged[d] = err
				return nil
			}
			return err
		})
	}
	return damaged, group.Wait()
}

// removeDamagedChunks returns all chunks that a layer needs: those of its files and of its manifest, and the list. If one is lost or changed, the error is
// [ErrLost]; mend deletes the changed ones, because a chunk that exists is not stored again.
func (s *Store) removeDamagedChunks(ctx context.Context, layer Layer) ([]Digest, error) {
	var damaged map[Digest]error
	t, err := s.Tree(ctx, layer)
	switch {
	case err == nil:
		damaged, err = s.findDamagedChunks(ctx, t)
	case errors.Is(err, ErrGone) || errors.Is(err, ErrCorrupt):
		damaged, err = s.findDamagedManifestChunks(ctx, layer)
	}
	if err != nil {
		return nil, err
	}
	if len(damaged) == 0 {
		return s.listNeededChunks(ctx, layer, t)
	}
	err = s.sendForEachChunk(ctx, "remove damaged chunks", slices.Collect(maps.Keys(damaged)), func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Unlink(ctx, key)
	}, nil)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("run %s: %d chunks: %w", s.run, len(damaged), ErrLost)
}

// findDamagedManifestChunks returns the chunks of a manifest that are lost or changed, or its list, without which the chunks are not known.
func (s *Store) findDamagedManifestChunks(ctx context.Context, layer Layer) (map[Digest]error, error) {
	id, err := ParseDigest(string(layer))
	if err != nil {
		return nil, err
	}
	damaged, err := s.findInvalidChunks(ctx, []Digest{id})
	if err != nil || len(damaged) > 0 {
		return damaged, err
	}
	parts, err := s.manifestParts(ctx, layer)
	if err != nil {
		return nil, err
	}
	return s.findInvalidChunks(ctx, parts)
}
