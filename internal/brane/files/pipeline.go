package files

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// sendPipeline sends commands in one round trip and returns their answers. The error is the first one that is not [redis.Nil], which only
// means that a key does not exist. The client itself returns the first of all, so that in a Cluster a missing key on one server hides that
// another server did not answer.
func sendPipeline(ctx context.Context, client redis.Cmdable, add func(redis.Pipeliner)) ([]redis.Cmder, error) {
	answers, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		add(p)
		return nil
	})
	for _, answer := range answers {
		if err := answer.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
	}
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return answers, err
}
