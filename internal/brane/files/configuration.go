package files

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// SetConfiguration stores the configuration of the run, so that it can be read by programs that do not have it. It has no deadline: it stays until the keys of
// the run are deleted. This package does not interpret the text.
func (s *Store) SetConfiguration(ctx context.Context, text []byte) error {
	return s.runCommand(ctx, "store the configuration of the run", func(ctx context.Context) error {
		return s.redis.Set(ctx, s.keyOf("configuration"), text, 0).Err()
	})
}

// Configuration returns what SetConfiguration stored; nil if nothing was stored.
func (s *Store) Configuration(ctx context.Context) (text []byte, err error) {
	err = s.runCommand(ctx, "read the configuration of the run", func(ctx context.Context) (err error) {
		text, err = s.redis.Get(ctx, s.keyOf("configuration")).Bytes()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return text, err
}
