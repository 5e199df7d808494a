package files

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"time"

	"github.com/redis/go-redis/v9"
)

// prefix is the prefix of all keys.
const prefix = "brane:"

// Config describes where the files of a run are stored. Redis, Run and Deadline must be set.
type Config struct {
	Redis    redis.UniversalClient
	Run      string        // [a-z0-9-]+, so that no key contains a brace or colon by accident
	Deadline time.Time     // when Redis deletes every key of the run; absolute, so that it is never refreshed
	Parallel int           // chunks in flight; 0 means 4: more connections are not faster
	Patience time.Duration // how long a failing command is retried; 0 means 2 minutes
	// Waiting is called while commands fail for longer than a few seconds and are repeated, and when they succeed again; may be nil.
	Waiting Waiting
	// Skipped is called for each socket or named pipe that [Store.Snapshot] does not store; may be nil.
	Skipped func(path, kind string)
	// UserReturns means that the user or its password may become valid again: it is the run's own, which the run's engine creates again when a
	// server has lost it, or it was accepted before. A rejected password is then retried like a server that does not answer.
	UserReturns bool
}

// Store accesses the files of one run. It is safe for concurrent use.
type Store struct {
	redis    redis.UniversalClient
	run      string
	deadline time.Time
	parallel int
	patience time.Duration
	returns  bool // see Config.UserReturns
	skipped  func(path, kind string)
	outage   *outage       // nil if nothing is reported
	buffers  chan []byte   // idle buffers, see acquireBuffer
	wire     chan struct{} // holds one value for each chunk in flight
	sent     proof
}

var (
	runName  = regexp.MustCompile(`^[a-z0-9-]+$`)
	stepName = regexp.MustCompile(`^[a-z0-9-]+(\.[0-9]+)?$`)
)

// Open checks the configuration and returns a Store. It does not connect.
func Open(c Config) (*Store, error) {
	switch {
	case c.Redis == nil:
		return nil, errors.New("open the file store: no Redis client")
	case !runName.MatchString(c.Run):
		return nil, fmt.Errorf("open the file store: the run id %q may contain only a-z, 0-9 and -", c.Run)
	case c.Deadline.IsZero():
		return nil, fmt.Errorf("open the file store of run %s: no deadline", c.Run)
	}
	s := &Store{redis: c.Redis, run: c.Run, deadline: c.Deadline.Truncate(time.Second), parallel: c.Parallel, patience: c.Patience, returns: c.UserReturns, skipped: c.Skipped}
	if c.Waiting != nil {
		s.outage = &outage{report: c.Waiting}
	}
	if s.parallel <= 0 {
		s.parallel = 4
	}
	if s.patience <= 0 {
		s.patience = defaultPatience
	}
	s.wire = make(chan struct{}, s.parallel)
	s.buffers = make(chan []byte, s.workerCount()+1)
	return s, nil
}

// Endless is the patience of programs that wait for a server until their context ends.
const Endless time.Duration = math.MaxInt64

// ForExecution returns a store of the same run for the program that executes it: its keys expire at the deadline, and it repeats commands
// until its context ends, because steps run meanwhile.
func (s *Store) ForExecution(deadline time.Time, returns bool, waiting Waiting) (*Store, error) {
	return Open(Config{
		Redis: s.redis, Run: s.run, Deadline: deadline, Parallel: s.parallel, Patience: Endless, UserReturns: returns, Waiting: waiting,
	})
}

// workerCount returns twice the number of chunks in flight: if all processors hash, a reply is noticed late, and the connections should not be
// idle meanwhile.
func (s *Store) workerCount() int { return 2 * s.parallel }

// Overlap lets twice as many goroutines run as there are processors. Programs that mainly move files call it when they start: Go polls the
// network only when a goroutine would be idle, and those that hash never wait, so connections would be idle while chunks are hashed, and a
// tenth of the throughput would be lost.
func Overlap() { runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0)) }

// ValidStep reports whether a step may have this name: a-z, 0-9 and -, and for one index of a fan-out step a dot and its number.
func ValidStep(name string) bool { return stepName.MatchString(name) }

func (s *Store) keyOf(parts string) string { return prefix + s.run + ":" + parts }

func (s *Store) chunkKey(d Digest) string { return s.keyOf("c:" + d.String()) }

// runCommand runs one command with retries and adds to its error what was attempted.
func (s *Store) runCommand(ctx context.Context, what string, command func(context.Context) error) error {
	err := s.retryCommand(ctx, command)
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	return fmt.Errorf("run %s: %s: %w", s.run, what, err)
}

func (s *Store) retryCommand(ctx context.Context, command func(context.Context) error) error {
	again := isTransient
	if s.returns {
		again = func(err error) bool { return isTransient(err) || errors.Is(translateError(err), ErrPassword) }
	}
	return retrier{patience: s.patience, isTransient: again, outage: s.outage}.run(ctx, command)
}

// setValue writes one value with the run's deadline.
func (s *Store) setValue(ctx context.Context, name, what string, value any) error {
	return s.runCommand(ctx, what, func(ctx context.Context) error {
		return s.redis.SetArgs(ctx, s.keyOf(name), value, redis.SetArgs{ExpireAt: s.deadline}).Err()
	})
}
