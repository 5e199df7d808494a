package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"testing"
)

// TestPingRedis uses a server that answers like Redis while it loads, or with another password.
func TestPingRedis(t *testing.T) {
	for name, tt := range map[string]struct {
		answers []string
		want    string
	}{
		"ready":                  {[]string{"+OK", "+PONG"}, "<nil>"},
		"still loading":          {[]string{"+OK", "-LOADING Redis is loading the dataset in memory"}, `redis answered "-LOADING Redis is loading the dataset in memory"`},
		"another password":       {[]string{"-WRONGPASS invalid username-password pair or user is disabled."}, `redis answered "-WRONGPASS invalid username-password pair or user is disabled."`},
		"closed immediately":     {nil, "redis closed the connection"},
		"closed after one reply": {[]string{"+OK"}, "redis closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				asked := bufio.NewScanner(conn)
				for range 2 { // read everything, otherwise closing resets the connection
					asked.Scan()
				}
				for _, a := range tt.answers {
					_, _ = fmt.Fprintf(conn, "%s\r\n", a)
				}
				_ = conn.Close()
			}()
			if err := pingRedis(t.Context(), listener.Addr().String(), "SECRET"); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestRedisPassword(t *testing.T) {
	c := newDirectory(t)
	one, err := redisPassword(c)
	if err != nil {
		t.Fatal(err)
	}
	two, err := redisPassword(c)
	if err != nil {
		t.Fatal(err)
	}
	if one != two || len(one) < 20 {
		t.Errorf("got passwords of %d and %d characters, equal: %v", len(one), len(two), one == two)
	}
	info, err := os.Stat(c.path("redis/password"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the password's file has mode %v, want 0600", info.Mode().Perm())
	}
}
