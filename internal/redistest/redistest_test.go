package redistest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestServer checks that a killed server does not answer, that a restarted one has its data, and that a suspended one does not answer and keeps its data.
func TestServer(t *testing.T) {
	s := Start(t, "--appendonly", "yes", "--appendfsync", "always", "--requirepass", "secret")
	read := func(limit time.Duration) (string, error) {
		options, err := redis.ParseURL(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		options.MaxRetries = -1
		client := redis.NewClient(options)
		defer client.Close() // nothing was written
		ctx, done := context.WithTimeout(t.Context(), limit)
		defer done()
		return client.Get(ctx, "key").Result()
	}
	if err := s.Client().Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if got, err := read(time.Second); err == nil {
		t.Errorf("the killed server returns %q", got)
	}
	s.Restart()
	if got, err := read(time.Minute); err != nil || got != "value" {
		t.Errorf("the restarted server returns %q, %v", got, err)
	}
	s.Pause()
	if got, err := read(time.Second); err == nil {
		t.Errorf("the suspended server returns %q", got)
	}
	s.Continue()
	if got, err := s.Client().Get(t.Context(), "key").Result(); err != nil || got != "value" {
		t.Errorf("the resumed server returns %q, %v", got, err)
	}
}
