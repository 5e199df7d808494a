package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// startRegistry serves a registry with a directory and returns its address and a counter of uploaded blobs.
func startRegistry(t *testing.T, dir string) (string, *atomic.Int64) {
	t.Helper()
	handler, err := registryHandler(dir, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	uploads := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") {
			uploads.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), uploads
}

func TestImagesArePulledOverHTTP(t *testing.T) {
	address, _ := startRegistry(t, t.TempDir())
	if err := pingRegistry(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	pushed, err := toolsImage([]byte("BOX"), nil)
	if err != nil {
		t.Fatal(err)
	}
	reference := address + "/tools:0123"
	if err := push(t.Context(), reference, pushed); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(tag, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := listing(t, pulled), listing(t, pushed); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	missing, err := name.NewTag(address+"/tools:4567", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Image(missing, remote.WithContext(t.Context())); err == nil || !strings.Contains(err.Error(), "MANIFEST_UNKNOWN") {
		t.Errorf("pull an image that was not pushed: got %v, want MANIFEST_UNKNOWN", err)
	}
}

func TestARestartedRegistryWantsNoBlobTwice(t *testing.T) {
	dir := t.TempDir()
	image, err := toolsImage([]byte("BOX"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for start, want := range []int64{2, 0} { // the layer and the configuration
		address, uploads := startRegistry(t, dir)
		if err := push(t.Context(), address+"/tools:0123", image); err != nil {
			t.Fatal(err)
		}
		if got := uploads.Load(); got != want {
			t.Errorf("start %d: got %d uploads, want %d", start+1, got, want)
		}
	}
}

func TestPushTellsWhatItCouldNotPush(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := toolsImage([]byte("BOX"), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = push(t.Context(), address+"/tools:0123", image)
	if want := "push image " + address + "/tools:0123: "; !strings.HasPrefix(fmt.Sprint(err), want) {
		t.Errorf("got  %v\nwant %s…", err, want)
	}
}

// TestRelayForwardsTheEndOfInput checks that the server sees the end of the request, and the client receives the response.
func TestRelayForwardsTheEndOfInput(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		heard, _ := io.ReadAll(conn)
		_, _ = fmt.Fprintf(conn, "heard %s", heard)
		_ = conn.Close()
	}()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })
	go func() {
		if conn, err := front.Accept(); err == nil {
			pass(t.Context(), conn, server.Addr().String())
		}
	}()
	client, err := net.DialTCP("tcp", nil, front.Addr().(*net.TCPAddr)) //nolint:forcetypeassert // a TCP listener
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if _, err := io.WriteString(client, "all"); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if string(answer) != "heard all" || err != nil {
		t.Errorf("got %q, %v", answer, err)
	}
}
