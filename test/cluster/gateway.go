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

// gatewayCommand is the launcher as the program that serves the bridge's address.
const gatewayCommand = "gateway"

func (c cluster) gatewayProgram(self string) program {
	return program{name: "gateway", args: []string{self, gatewayCommand, "-dir", c.dir}}
}

// gateway serves what pods and containerd reach at the bridge's addresses: the registry, and the API server,
// which itself takes only one address to listen on. As the Service "kubernetes" pods have it from their environment.
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

// registryHandler is a container registry with its blobs in a folder. Manifests are kept in memory: up pushes
// the images at each start, which sends no blob twice.
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

// relay passes connections on until ctx ends; the process then takes the open ones along.
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

// pass copies both ways and hands an end of input on, as the other side would see it without a relay.
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
			_, _ = io.Copy(way[1], way[0]) // a connection that breaks ends here as one that is closed
			if half, ok := way[1].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// pingRegistry is nil when the registry answers.
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
