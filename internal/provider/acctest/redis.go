package acctest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// RedisClient returns a client of the Redis of the test cluster.
func RedisClient(t *testing.T) *redis.Client {
	t.Helper()
	return DialRedis(t, clustertest.Getenv(t, "BRANE_REDIS_URL"))
}

// DialRedis returns a client of the Redis at a URL.
func DialRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { NoError(t, client.Close()) })
	return client
}

// RunKeys returns the Redis keys of a run.
func RunKeys(ctx context.Context, client *redis.Client, id string) ([]string, error) {
	var keys []string
	scan := client.Scan(ctx, 0, "brane:"+id+":*", 1000).Iterator()
	for scan.Next(ctx) {
		keys = append(keys, scan.Val())
	}
	slices.Sort(keys)
	return slices.Compact(keys), scan.Err()
}

// CheckNoRedisKeys checks that runs have no Redis keys any more.
func CheckNoRedisKeys(ctx context.Context, client *redis.Client, ids ...string) error {
	for _, id := range ids {
		keys, err := RunKeys(ctx, client, id)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return fmt.Errorf("run %s still has keys: %q", id, keys)
		}
	}
	return nil
}
