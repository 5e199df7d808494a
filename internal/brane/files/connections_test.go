package files

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// countedConn counts open connections.
type countedConn struct {
	net.Conn
	open *atomic.Int32
}

func (c countedConn) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}

// A pod has a bounded number of connections to Redis while it stores and restores large files, whether Redis has their chunks already or not.
func TestConnectionsAreBounded(t *testing.T) {
	for _, parallel := range []int{0, 1, 8} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			t.Parallel()
			testConnections(t, parallel)
		})
	}
}

func testConnections(t *testing.T, parallel int) {
	server := redistest.Start(t)
	var open, most atomic.Int32
	client, err := Dialer{Connect: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		for now := open.Add(1); now > most.Load(); {
			most.Store(now)
		}
		return countedConn{conn, &open}, nil
	}}.Dial(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	directory := t.TempDir()
	random := rand.NewChaCha8([32]byte{})
	for i := range 24 {
		content := make([]byte, 2*ChunkSize)
		_, _ = random.Read(content)
		if err := os.WriteFile(filepath.Join(directory, fmt.Sprint(i)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, err := Open(Config{Redis: client, Run: "r", Deadline: time.Now().Add(time.Hour), Parallel: parallel})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"first", "again"} {
		layer, err := snapshotLayer(t.Context(), store, directory, nil, nil, step)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := store.Tree(t.Context(), layer)
		if err != nil {
			t.Fatal(err)
		}
		if err := restored(t, store, tree, t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	if got := most.Load(); got > int32(cmp.Or(parallel, 4))+1 {
		t.Errorf("%d connections were open at the same time", got)
	}
}
