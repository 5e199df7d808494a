package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// server is a redis-server without persistence that the benchmark starts.
type server struct {
	process *exec.Cmd
	url     string
	client  *redis.Client
}

func startRedis(ctx context.Context) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err = errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	s := &server{url: "redis://" + addr + "/0"}
	s.process = exec.CommandContext(ctx, "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", os.TempDir())
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	universal, err := files.Dial(s.url)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	var ok bool
	if s.client, ok = universal.(*redis.Client); !ok {
		return nil, errors.Join(fmt.Errorf("the client is %T", universal), s.stop())
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := s.client.Ping(ctx).Err()
		if err == nil {
			return s, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("redis-server does not answer: %w", err), s.stop())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *server) stop() error {
	if s.client != nil {
		if err := s.client.Close(); err != nil {
			return err
		}
	}
	if err := s.process.Process.Kill(); err != nil {
		return err
	}
	_ = s.process.Wait() // it was killed
	return nil
}

func (s *server) empty(ctx context.Context) error { return s.client.FlushAll(ctx).Err() }

// memory returns the memory of the keys, after the server has freed the buffers of idle connections.
func (s *server) memory(ctx context.Context) (int64, error) {
	for last := int64(-1); ; {
		info, err := s.client.Info(ctx, "memory").Result()
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(info, "used_memory_dataset:")
		text, _, _ := strings.Cut(rest, "\r\n")
		now, err := strconv.ParseInt(text, 10, 64)
		if err != nil || now == last {
			return now, err
		}
		last = now
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(4 * time.Second): // ten times a second the server checks a few idle connections
		}
	}
}
