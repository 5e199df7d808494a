// Package redistest starts Debian's redis-server for a test, on a free port and in a temporary directory. Its address is that of the loopback
// interface, or [Host] for a group of servers that pods have to reach. The environment variable BRANE_TEST_REDIS_SERVER names another program with the same
// arguments: `make test-valkey` sets it to valkey-server.
// The server is stopped when the test ends.
//
// Tests of failures use Kill, Restart and Pause, or a [Proxy] in front of the server.
package redistest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Host is a local address at which servers listen.
type Host string

// Loopback is the address of servers that only local programs have to reach.
const Loopback Host = "127.0.0.1"

// program is the server that the tests start.
var program = cmp.Or(os.Getenv("BRANE_TEST_REDIS_SERVER"), "redis-server")

// Server is one running redis-server.
type Server struct {
	t        testing.TB
	host     Host
	dir      string
	port     string
	first    []string // arguments before all others
	args     []string
	password string
	process  *exec.Cmd
	ended    chan struct{} // closed when the process has ended
}

// Start starts a server with arguments of redis-server ("--maxmemory", "64mb"). The test is skipped, or fails if acceptance tests run, if the program is missing.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return Loopback.start(t, args...)
}

func (h Host) start(t testing.TB, args ...string) *Server {
	t.Helper()
	testenv.RequireProgram(t, program, "apt-get install "+program)
	s := &Server{t: t, host: h, dir: t.TempDir(), args: args}
	for i, arg := range args {
		if arg == "--requirepass" && i+1 < len(args) {
			s.password = args[i+1]
		}
	}
	s.begin()
	return s
}

// begin starts the server on a free port and stops it when the test ends.
func (s *Server) begin() {
	s.t.Helper()
	// Another process may take the port before the server listens on it, hence three attempts.
	var err error
	for range 3 {
		if s.port, err = s.host.findPort(); err != nil {
			s.t.Fatal(err)
		}
		if err = s.start(); err == nil {
			s.t.Cleanup(s.Kill)
			return
		}
	}
	s.t.Fatal(err)
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort(string(s.host), s.port) }

// URL returns the address in the form that users configure, with the password of --requirepass.
func (s *Server) URL() string {
	if s.password == "" {
		return "redis://" + s.Addr() + "/0"
	}
	return fmt.Sprintf("redis://:%s@%s/0", s.password, s.Addr())
}

// Dir returns the server's working directory.
func (s *Server) Dir() string { return s.dir }

// Client returns a client that is closed when the test ends.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), Password: s.password, DisableIdentity: true})
	s.t.Cleanup(func() { _ = c.Close() }) // a test may have closed it already
	return c
}

// Kill sends SIGKILL to the server and waits until it has ended.
func (s *Server) Kill() {
	_ = s.process.Process.Kill() // it may have ended already
	<-s.ended
}

// Pause suspends the server until Continue. Its connections stay open, as in a network failure.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue resumes a suspended server.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

// Restart starts a killed server again with the same port, directory and arguments.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatalf("send %v to %s: %v", sig, program, err)
	}
}

func (s *Server) start() error {
	args := slices.Concat(s.first, []string{"--bind", string(s.host), "--port", s.port, "--dir", s.dir, "--save", "", "--logfile", "redis.log"}, s.args)
	if s.host != Loopback { // without a password, Redis refuses clients from other addresses
		args = append(args, "--protected-mode", "no")
	}
	s.process = exec.Command(program, args...)
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in the terminal must not reach the server before the test
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // killed servers end with an error
		close(ended)
	}(s.process)
	if err := s.await(); err != nil {
		s.Kill()
		log, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
		return fmt.Errorf("start %s on port %s: %w\n%s", program, s.port, err, log)
	}
	return nil
}

// await waits until the server answers and has loaded its data.
func (s *Server) await() error {
	ctx, stop := context.WithTimeout(context.Background(), testenv.Patience)
	defer stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.answers() {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("it ended immediately")
		case <-ctx.Done():
			return fmt.Errorf("it did not answer within %s", testenv.Patience)
		case <-tick.C:
		}
	}
}

// answers reports whether the server answers and has loaded its data. A server that refuses the command has done both.
func (s *Server) answers() bool {
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr(), Password: s.password, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second, ReadTimeout: time.Second, DisableIdentity: true,
	})
	defer client.Close() // nothing was written that could be lost
	err := client.Ping(context.Background()).Err()
	var refused redis.Error
	return err == nil || errors.As(err, &refused) && !strings.HasPrefix(err.Error(), "LOADING")
}

// findPort returns a free port.
func (h Host) findPort() (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(string(h), "0"))
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close() // it was only needed to find the port
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
