package provider_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// redisClient is the cluster's Redis as this machine dials it.
func redisClient(t *testing.T) *redis.Client {
	t.Helper()
	return dial(t, clustertest.Getenv(t, "BRANE_REDIS_URL"))
}

func dial(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	must(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { must(t, client.Close()) })
	return client
}

// runKeys are a run's keys in Redis.
func runKeys(ctx context.Context, client *redis.Client, id string) ([]string, error) {
	var keys []string
	scan := client.Scan(ctx, 0, "brane:"+id+":*", 1000).Iterator()
	for scan.Next(ctx) {
		keys = append(keys, scan.Val())
	}
	slices.Sort(keys)
	return slices.Compact(keys), scan.Err()
}

// nothingInRedis checks that no key of a run is left.
func nothingInRedis(ctx context.Context, client *redis.Client, ids ...string) error {
	for _, id := range ids {
		keys, err := runKeys(ctx, client, id)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return fmt.Errorf("run %s still has keys: %q", id, keys)
		}
	}
	return nil
}
