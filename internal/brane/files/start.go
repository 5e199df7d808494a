package files

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// NoteStart records that the program of a step starts in this pod. Repeated calls for the same pod count once.
func (s *Store) NoteStart(ctx context.Context, step, pod string, at time.Time) error {
	if !ValidStep(step) {
		return fmt.Errorf("run %s: record a start: %q is not a valid step name", s.run, step)
	}
	return s.runCommand(ctx, "record the start of step "+step, func(ctx context.Context) error {
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			p.HSet(ctx, s.keyOf("starts:"+step), pod, at.UTC().Format(time.RFC3339Nano))
			p.ExpireAt(ctx, s.keyOf("starts:"+step), s.deadline)
		})
		return err
	})
}

// Starts returns in how many pods the programs of these steps have started so far, in one round trip. It has no entry for a step that never
// started.
func (s *Store) Starts(ctx context.Context, steps []string) (map[string]int, error) {
	starts := map[string]int{}
	if len(steps) == 0 {
		return starts, nil
	}
	var pods []*redis.MapStringStringCmd
	err := s.runCommand(ctx, "count the starts of the steps", func(ctx context.Context) error {
		pods = pods[:0]
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			for _, step := range steps {
				pods = append(pods, p.HGetAll(ctx, s.keyOf("starts:"+step)))
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, step := range steps {
		if n := len(pods[i].Val()); n > 0 {
			starts[step] = n
		}
	}
	return starts, nil
}
