package files

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// NoteStart records that the program of a step starts in this pod. Repeated calls for the same pod count once.
func (s *Store) NoteStart(ctx context.Context, key ResultKey, pod string, at time.Time) error {
	if err := key.check(); err != nil {
		return fmt.Errorf("run %s: record a start: %w", s.run, err)
	}
	return s.runCommand(ctx, "record the start of step "+key.Step, func(ctx context.Context) error {
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			p.HSet(ctx, s.resultKey("starts", key), pod, at.UTC().Format(time.RFC3339Nano))
			p.ExpireAt(ctx, s.resultKey("starts", key), s.deadline)
		})
		return err
	})
}

// Starts returns in how many pods the programs of these steps have started so far with these fingerprints, in one round trip. It has no entry
// for a step that never started.
func (s *Store) Starts(ctx context.Context, fingerprints map[string]Fingerprint) (map[string]int, error) {
	const what = "count the starts of the steps"
	keys, err := sortResultKeys(fingerprints)
	if err != nil {
		return nil, fmt.Errorf("run %s: %s: %w", s.run, what, err)
	}
	starts := map[string]int{}
	if len(keys) == 0 {
		return starts, nil
	}
	var pods []*redis.MapStringStringCmd
	err = s.runCommand(ctx, what, func(ctx context.Context) error {
		pods = pods[:0]
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			for _, key := range keys {
				pods = append(pods, p.HGetAll(ctx, s.resultKey("starts", key)))
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		if n := len(pods[i].Val()); n > 0 {
			starts[key.Step] = n
		}
	}
	return starts, nil
}
