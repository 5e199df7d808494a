package files

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// MaxLog is how much of a step's output is stored.
const MaxLog = 64 << 10

// SetLog stores the end of a step's output, at most MaxLog bytes.
func (s *Store) SetLog(ctx context.Context, key ResultKey, output []byte) error {
	if err := key.check(); err != nil {
		return fmt.Errorf("run %s: store output: %w", s.run, err)
	}
	return s.setValue(ctx, "log:"+key.String(), "store the output of step "+key.Step, output[max(0, len(output)-MaxLog):])
}

// Log returns the stored end of a step's output, nil if there is none.
func (s *Store) Log(ctx context.Context, key ResultKey) (output []byte, err error) {
	if err := key.check(); err != nil {
		return nil, fmt.Errorf("run %s: read output: %w", s.run, err)
	}
	err = s.runCommand(ctx, "read the output of step "+key.Step, func(ctx context.Context) (err error) {
		output, err = s.redis.Get(ctx, s.resultKey("log", key)).Bytes()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return output, err
}

// SetFailure stores a step's failure that is final. This package does not interpret the text.
func (s *Store) SetFailure(ctx context.Context, key ResultKey, text []byte) error {
	if err := key.check(); err != nil {
		return fmt.Errorf("run %s: store a failure: %w", s.run, err)
	}
	return s.setValue(ctx, "failed:"+key.String(), "store the failure of step "+key.Step, text)
}

// Failures returns what SetFailure stored for these steps and fingerprints, in one round trip.
func (s *Store) Failures(ctx context.Context, fingerprints map[string]Fingerprint) (map[string][]byte, error) {
	return s.readResults(ctx, "read the failures of the steps", "failed", fingerprints)
}

// SetMeta writes metadata of the run as a whole.
func (s *Store) SetMeta(ctx context.Context, meta map[string]string) error {
	return s.runCommand(ctx, "write the metadata of the run", func(ctx context.Context) error {
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			p.HSet(ctx, s.keyOf("meta"), meta)
			p.ExpireAt(ctx, s.keyOf("meta"), s.deadline)
		})
		return err
	})
}

// Meta returns what SetMeta wrote; it is empty if nothing was written.
func (s *Store) Meta(ctx context.Context) (meta map[string]string, err error) {
	err = s.runCommand(ctx, "read the metadata of the run", func(ctx context.Context) (err error) {
		meta, err = s.redis.HGetAll(ctx, s.keyOf("meta")).Result()
		return err
	})
	return meta, err
}

// Cancel asks every agent of the run to stop whose Job was created in this term of the run's lease or in an earlier one, including those
// that start later.
func (s *Store) Cancel(ctx context.Context, term int) error {
	if err := s.setValue(ctx, "cancel", "cancel the run", strconv.Itoa(term)); err != nil {
		return err
	}
	return s.Announce(ctx, Event{State: Cancelled})
}

// Resume withdraws a Cancel.
func (s *Store) Resume(ctx context.Context) error {
	return s.runCommand(ctx, "withdraw the cancellation", func(ctx context.Context) error {
		return s.redis.Unlink(ctx, s.keyOf("cancel")).Err()
	})
}

// CancelledTerm returns the term of the run's lease in which the run was cancelled, 0 if it was not.
func (s *Store) CancelledTerm(ctx context.Context) (term int, err error) {
	const what = "read whether the run is cancelled"
	var text string
	err = s.runCommand(ctx, what, func(ctx context.Context) (err error) {
		text, err = s.redis.Get(ctx, s.keyOf("cancel")).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if term, err = strconv.Atoi(text); err != nil || term < 1 {
		return 0, fmt.Errorf("run %s: %s: the term %.20q %w", s.run, what, text, ErrCorrupt)
	}
	return term, nil
}

// SetDeadline writes the deadline of the store, for agents whose Jobs an earlier execution has created. It returns the one before; the zero time if it has
// passed.
func (s *Store) SetDeadline(ctx context.Context) (before time.Time, err error) {
	var text string
	err = s.runCommand(ctx, "write the deadline of the run", func(ctx context.Context) (err error) {
		args := redis.SetArgs{Get: true, ExpireAt: s.deadline}
		text, err = s.redis.SetArgs(ctx, s.keyOf("deadline"), s.deadline.Unix(), args).Result()
		return err
	})
	return s.parseDeadline(text, err)
}

// LastDeadline returns the deadline of the latest execution; the zero time if it has passed.
func (s *Store) LastDeadline(ctx context.Context) (time.Time, error) {
	var text string
	err := s.runCommand(ctx, "read the deadline of the run", func(ctx context.Context) (err error) {
		text, err = s.redis.Get(ctx, s.keyOf("deadline")).Result()
		return err
	})
	return s.parseDeadline(text, err)
}

func (s *Store) parseDeadline(text string, err error) (time.Time, error) {
	if errors.Is(err, redis.Nil) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("run %s: the deadline %.20q %w", s.run, text, ErrCorrupt)
	}
	return time.Unix(seconds, 0), nil
}

// Now returns the time of the server's clock, which decides when the deadline has passed, or of the local clock if the user may not ask the server.
func (s *Store) Now(ctx context.Context) time.Time { return time.Now().Add(clockSkew(ctx, s.redis)) }

// Ping checks that the server answers and accepts the password.
func (s *Store) Ping(ctx context.Context) error {
	return s.runCommand(ctx, "ping redis", func(ctx context.Context) error { return s.redis.Ping(ctx).Err() })
}
