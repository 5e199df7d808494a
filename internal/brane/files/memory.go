package files

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// checkFreeMemory returns a [FullError] if the server, or all masters together, have too little memory left for the inputs. What is stored already, as when
// a run is continued, needs none. That is found out only if the memory does not suffice for everything, because all files have to be read for it.
func (s *Store) checkFreeMemory(ctx context.Context, in inputs) error {
	free, err := s.readFreeMemory(ctx)
	if err != nil {
		return ignoreForbidden(err)
	}
	if requiredMemory(in.tree.Size()) <= free {
		return nil
	}
	missing, err := s.measureMissing(ctx, in)
	if err != nil {
		return err
	}
	if need := requiredMemory(missing); need > free {
		return fmt.Errorf("run %s: inputs: %w", s.run, &FullError{Need: need, Free: free})
	}
	return nil
}

// requiredMemory returns how much memory the server needs for chunks: headers, the manifest and the allocator need up to 2 %.
func requiredMemory(size int64) int64 { return size + size/50 }

// readFreeMemory returns the memory that the server, or all masters together, have left, if they report it. Without the permission to ask, a user learns
// it only when a command fails.
func (s *Store) readFreeMemory(ctx context.Context) (free int64, err error) {
	var mu sync.Mutex // the masters of a Cluster are asked concurrently
	limited := true
	err = s.runOnEachMaster(ctx, "read its memory limits", func(ctx context.Context, master *redis.Client) error {
		info, err := master.Info(ctx, "memory").Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		limit := infoNumber(info, "maxmemory")
		limited = limited && limit > 0
		free += max(limit-infoNumber(info, "used_memory"), 0)
		return nil
	})
	if err == nil && !limited {
		free = math.MaxInt64
	}
	return free, err
}

// measureMissing returns the size of the chunks of inputs that the run does not have. It reads all files, and stores nothing.
func (s *Store) measureMissing(ctx context.Context, in inputs) (size int64, err error) {
	sizes := map[Digest]int64{}
	for _, set := range in.sets {
		maps.Copy(sizes, chunkSizes(set.tree))
	}
	var mu sync.Mutex // chunks are noted concurrently
	err = s.runUpload(ctx, func(u *upload) error {
		u.note = func(d Digest, size int) {
			mu.Lock()
			defer mu.Unlock()
			sizes[d] = int64(size)
		}
		return in.addFiles(u)
	})
	if err != nil {
		return 0, err
	}
	missing, err := s.extendChunks(ctx, slices.Collect(maps.Keys(sizes)))
	for d := range missing {
		size += sizes[d]
	}
	return size, err
}
