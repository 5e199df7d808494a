package files

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// Release lets what a layer needs that was kept, see [Store.Keep], expire at the store's deadline, except for what another kept layer needs. other is
// empty if there is none. A layer that is lost needs nothing.
func (s *Store) Release(ctx context.Context, layer, other Layer) error {
	needed, err := s.listKept(ctx, layer)
	if err != nil {
		return err
	}
	stays, err := s.listKept(ctx, other)
	if err != nil {
		return err
	}
	isKept := map[Digest]bool{}
	for _, d := range stays {
		isKept[d] = true
	}
	needed = slices.DeleteFunc(needed, func(d Digest) bool { return isKept[d] })
	return s.sendForEachChunk(ctx, "release outputs", needed, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.Do(ctx, "expireat", key, s.deadline.Unix(), "nx")
	}, nil)
}

// listKept returns the chunks that a kept layer needs; none if there is no layer, or if it is lost.
func (s *Store) listKept(ctx context.Context, layer Layer) ([]Digest, error) {
	if layer == "" {
		return nil, nil
	}
	tree, err := s.Tree(ctx, layer)
	if err == nil {
		var needed []Digest
		needed, err = s.listNeededChunks(ctx, layer, tree)
		if err == nil {
			return needed, nil
		}
	}
	if errors.Is(err, ErrGone) || errors.Is(err, ErrCorrupt) {
		return nil, nil
	}
	return nil, err
}

// LimitKeys lets every key of the run that has no deadline, such as those of its outputs and of its configuration, expire at the store's deadline.
func (s *Store) LimitKeys(ctx context.Context) error {
	err := eachMaster(ctx, s.redis, func(ctx context.Context, master *redis.Client) error {
		return s.visitMatchingKeys(ctx, master, s.keyOf("*"), func(p redis.Pipeliner, key string) {
			p.Do(ctx, "expireat", key, s.deadline.Unix(), "nx")
		})
	})
	if err != nil {
		return fmt.Errorf("run %s: limit the deadline of its keys: %w", s.run, err)
	}
	return nil
}

// RemoveDamage removes the chunks of a layer that were changed, as far as [Store.Damage] finds them, because a chunk that exists is not stored again.
func (s *Store) RemoveDamage(ctx context.Context, layer Layer) error {
	_, err := s.removeDamagedChunks(ctx, layer)
	if errors.Is(err, ErrLost) || errors.Is(err, ErrGone) {
		return nil
	}
	return err
}
