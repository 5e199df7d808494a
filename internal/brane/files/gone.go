package files

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// DeleteCommit deletes the commit of a result whose files are gone, so that the step can run again.
func (s *Store) DeleteCommit(ctx context.Context, key ResultKey) error {
	if err := key.check(); err != nil {
		return fmt.Errorf("run %s: delete a commit: %w", s.run, err)
	}
	return s.runCommand(ctx, "delete the commit of step "+key.Step, func(ctx context.Context) error {
		return s.redis.Unlink(ctx, s.resultKey("step", key)).Err()
	})
}

// FindGone returns those of the results whose commit, or the list of whose files, does not exist any more, in one round trip. It does not look for
// the files themselves.
func (s *Store) FindGone(ctx context.Context, results map[ResultKey]Layer) (gone map[ResultKey]bool, err error) {
	found := map[ResultKey][]*redis.IntCmd{}
	err = s.runCommand(ctx, "look for results", func(ctx context.Context) error {
		clear(found)
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			for key, layer := range results {
				found[key] = []*redis.IntCmd{p.Exists(ctx, s.resultKey("step", key)), p.Exists(ctx, s.keyOf("c:"+string(layer)))}
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	gone = map[ResultKey]bool{}
	for key, answers := range found {
		for _, answer := range answers {
			if answer.Val() == 0 {
				gone[key] = true
			}
		}
	}
	return gone, nil
}
