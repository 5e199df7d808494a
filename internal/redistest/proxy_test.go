package redistest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestProxy(t *testing.T) {
	server := Start(t)
	var mu sync.Mutex
	var seen bytes.Buffer
	held, release := make(chan struct{}), make(chan struct{})
	p := StartProxy(t, "127.0.0.1", server, func(data []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen.Write(data)
		if bytes.Contains(data, []byte("held")) {
			close(held)
			<-release
		}
	})
	client := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Set(t.Context(), "key", "held", 0).Err() }()
	<-held
	if got, err := server.Client().Get(t.Context(), "key").Result(); err != nil || got != "value" {
		t.Errorf("while the client is held, the server has %q, %v", got, err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	p.Close()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("the closed proxy still forwards")
	}
	mu.Lock()
	defer mu.Unlock()
	if !bytes.Contains(seen.Bytes(), []byte("\r\nvalue\r\n")) {
		t.Errorf("the proxy has seen %q", seen.Bytes())
	}
}
