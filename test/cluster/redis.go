package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

func (c cluster) redis(server string) program {
	return program{name: "redis", args: []string{server, c.path("conf/redis.conf")}}
}

// redisPassword creates the password once, because state files and Secrets of earlier runs contain it.
func redisPassword(c cluster) (string, error) {
	file := c.path("redis/password")
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		b = []byte(rand.Text() + "\n") // letters and digits only, which need no escaping in a URL
		err = os.WriteFile(file, b, 0o600)
	}
	return strings.TrimSpace(string(b)), err
}

// redisURL returns a URL that names the default user: redis-cli 7.0 rejects one without a user.
func redisURL(host, password string) string {
	return "redis://default:" + password + "@" + net.JoinHostPort(host, redisPort) + "/0"
}

// pingRedis returns nil if Redis accepts the password and has loaded its data.
func pingRedis(ctx context.Context, address, password string) error {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nPING\r\n", password); err != nil {
		return err
	}
	answers := bufio.NewScanner(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		if !answers.Scan() {
			return errors.Join(errors.New("redis closed the connection"), answers.Err())
		}
		if got := answers.Text(); got != want {
			return fmt.Errorf("redis answered %q", got)
		}
	}
	return nil
}
