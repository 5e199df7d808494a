package files

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"time"

	"github.com/redis/go-redis/v9"
)

// prefix begins every key of the file layer.
const prefix = "brane:"

// Config says where a run's files live. Redis, Run and Deadline must be set.
type Config struct {
	Redis    redis.UniversalClient
	Run      string        // [a-z0-9-]+: no brace or colon gets into a key by accident
	Deadline time.Time     // when Redis drops every key of the run; absolute, so nothing has to be refreshed
	Parallel int           // chunks in flight; 0 means 4: more connections gain nothing
	Patience time.Duration // for how long one failing command is tried again; 0 means 2 minutes, a restart of Redis
	// UserReturns says that the client's user is the run's own, which the run's engine makes again when a server has lost it. A refused password is
	// then tried again like a server that does not answer.
	UserReturns bool
}

// Store is the files of one run. It may be used by several goroutines.
type Store struct {
	redis    redis.UniversalClient
	run      string
	deadline time.Time
	parallel int
	patience time.Duration
	returns  bool          // see Config.UserReturns
	buffers  chan []byte   // idle ones, see buffer
	wire     chan struct{} // holds one for each chunk that is on its way
	sent     proof
}

var (
	runName  = regexp.MustCompile(`^[a-z0-9-]+$`)
	stepName = regexp.MustCompile(`^[a-z0-9-]+(\.[0-9]+)?$`)
)

// Open checks the configuration. It contacts nothing.
func Open(c Config) (*Store, error) {
	switch {
	case c.Redis == nil:
		return nil, errors.New("open the file layer: no Redis client")
	case !runName.MatchString(c.Run):
		return nil, fmt.Errorf("open the file layer: the run id %q may contain only a-z, 0-9 and -", c.Run)
	case c.Deadline.IsZero():
		return nil, fmt.Errorf("open the file layer of run %s: no deadline", c.Run)
	}
	s := &Store{redis: c.Redis, run: c.Run, deadline: c.Deadline.Truncate(time.Second), parallel: c.Parallel, patience: c.Patience, returns: c.UserReturns}
	if s.parallel <= 0 {
		s.parallel = 4
	}
	if s.patience <= 0 {
		s.patience = 2 * time.Minute
	}
	s.wire = make(chan struct{}, s.parallel)
	s.buffers = make(chan []byte, s.workers()+1)
	return s, nil
}

// workers are twice the chunks in flight: where all processors hash, a reply is noticed late, and the connections should not stand still meanwhile.
func (s *Store) workers() int { return 2 * s.parallel }

// Overlap is for the start of a program whose work is to move files: it lets twice as many goroutines run as there are processors. Those that hash never wait,
// and Go asks the network for news only where a goroutine would have nothing to do; with as many as processors, connections stand still while chunks are hashed,
// and a tenth of the throughput is lost.
func Overlap() { runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0)) }

// ValidStep tells whether a step may have this name: a-z, 0-9 and -, and for one index of a fan-out a dot and its number.
func ValidStep(name string) bool { return stepName.MatchString(name) }

func (s *Store) key(parts string) string { return prefix + s.run + ":" + parts }

func (s *Store) chunkKey(d Digest) string { return s.key("c:" + d.String()) }

// do runs one command, patiently, and says what was tried when it fails.
func (s *Store) do(ctx context.Context, what string, command func(context.Context) error) error {
	err := s.retry(ctx, command)
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	return fmt.Errorf("run %s: %s: %w", s.run, what, err)
}

func (s *Store) retry(ctx context.Context, command func(context.Context) error) error {
	again := transient
	if s.returns {
		again = func(err error) bool { return transient(err) || errors.Is(explain(err), ErrPassword) }
	}
	return retryIf(ctx, s.patience, again, command)
}

// set writes one value with the run's deadline.
func (s *Store) set(ctx context.Context, name, what string, value any) error {
	return s.do(ctx, what, func(ctx context.Context) error {
		return s.redis.SetArgs(ctx, s.key(name), value, redis.SetArgs{ExpireAt: s.deadline}).Err()
	})
}
