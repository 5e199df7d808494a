package redistest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What the tests of outages rely on: a killed server is gone, one that starts again is the same, a paused one says nothing and has lost nothing.
func TestServer(t *testing.T) {
	s := Start(t, "--appendonly", "yes", "--appendfsync", "always", "--requirepass", "secret")
	ask := func(limit time.Duration) (string, error) {
		options, err := redis.ParseURL(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		options.MaxRetries = -1
		client := redis.NewClient(options)
		defer client.Close() // it was only asked
		ctx, done := context.WithTimeout(t.Context(), limit)
		defer done()
		return client.Get(ctx, "key").Result()
	}
	if err := s.Client().Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if got, err := ask(time.Second); err == nil {
		t.Errorf("the killed server says %q", got)
	}
	s.Restart()
	if got, err := ask(time.Minute); err != nil || got != "value" {
		t.Errorf("the server that was started again says %q, %v", got, err)
	}
	s.Pause()
	if got, err := ask(time.Second); err == nil {
		t.Errorf("the paused server says %q", got)
	}
	s.Continue()
	if got, err := s.Client().Get(t.Context(), "key").Result(); err != nil || got != "value" {
		t.Errorf("the server that goes on says %q, %v", got, err)
	}
}
