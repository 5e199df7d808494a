package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"
)

// gatewayCommand is the launcher's command that serves the bridge's addresses.
const gatewayCommand = "gateway"

func (c cluster) gatewayProgram(self string) program {
	return program{name: "gateway", args: []string{self, gatewayCommand, "-dir", c.dir}}
}

// gateway serves the registry and the API server at the bridge's addresses, for pods and containerd. The API server
// itself listens on only one address. Pods find it as the Service "kubernetes" in their environment.
func gateway(ctx context.Context, dir string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	c, err := open(dir)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveRegistry(ctx, c.registry(), c.path("registry")) })
	for _, address := range []string{net.JoinHostPort(c.gateway(), apiPort), net.JoinHostPort(c.service(), servicePort)} {
		group.Go(func() error { return relay(ctx, address, net.JoinHostPort(c.loopback(), apiPort)) })
	}
	return group.Wait()
}

// registryHandler returns a container registry that stores blobs in a directory and manifests in memory: up pushes
// the images at each start, and uploads only missing blobs.
func registryHandler(dir string, logger *log.Logger) (http.Handler, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)), registry.Logger(logger)), nil
}

func serveRegistry(ctx context.Context, address, dir string) error {
	handler, err := registryHandler(dir, log.New(os.Stderr, "registry: ", log.LstdFlags))
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the registry: %w", err)
	}
	return nil
}

// relay forwards connections until ctx ends. Open connections end with the process.
func relay(ctx context.Context, from, to string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", from)
	if err != nil {
		return fmt.Errorf("relay %s: %w", to, err)
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("relay %s: %w", to, err)
		}
		go pass(ctx, conn, to)
	}
}

// pass copies in both directions and forwards the end of input in each.
func pass(ctx context.Context, client net.Conn, to string) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		log.Printf("relay: %v", err)
		return
	}
	defer func() { _ = server.Close() }()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(way[1], way[0]) // a broken connection is treated like a closed one
			if half, ok := way[1].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// pingRegistry returns nil if the registry answers.
func pingRegistry(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry answered %s", resp.Status)
	}
	return nil
}
