package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// recordVersion is the version of [Record] that this package writes.
const recordVersion = 1

// announceTime limits the time for announcing a commit.
const announceTime = 5 * time.Second

// Record describes how a step ended. The first record of a step wins.
type Record struct {
	V       int       `json:"v"`
	Attempt int       `json:"attempt"`
	Code    int       `json:"code"`
	Layer   Layer     `json:"layer"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Node    string    `json:"node,omitempty"`
	Pod     string    `json:"pod,omitempty"`
	// Result is the value that a function returned, as JSON in the caller's notation. This package does not interpret it.
	Result json.RawMessage `json:"result,omitempty"`
}

// ParseRecord parses and checks a record.
func ParseRecord(text []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return Record{}, fmt.Errorf("commit record %w: %w", ErrCorrupt, err)
	}
	if r.V > recordVersion {
		return Record{}, fmt.Errorf("commit record %w (version %d, this program knows %d)", ErrNewer, r.V, recordVersion)
	}
	if r.V < 1 {
		return Record{}, fmt.Errorf("commit record %w: version %d", ErrCorrupt, r.V)
	}
	if _, err := ParseDigest(string(r.Layer)); err != nil {
		return Record{}, fmt.Errorf("commit record %w: layer: %w", ErrCorrupt, err)
	}
	return r, nil
}

// Commit publishes the layer of a step. If another attempt has committed before, it returns that attempt's record and won is false.
// Everything that the layer needs must be stored before; if the server has lost some of it, the error is [ErrLost]. The commit is
// announced, but the announcement may get lost.
func (s *Store) Commit(ctx context.Context, step string, r Record) (first Record, won bool, err error) {
	if !ValidStep(step) {
		return Record{}, false, fmt.Errorf("run %s: commit: %q is not a valid step name", s.run, step)
	}
	if r.V == 0 {
		r.V = recordVersion
	}
	text, err := json.Marshal(r)
	if err != nil {
		return Record{}, false, fmt.Errorf("run %s: commit step %q: %w", s.run, step, err)
	}
	if _, err := ParseRecord(text); err != nil {
		return Record{}, false, fmt.Errorf("run %s: commit step %q: %w", s.run, step, err)
	}
	var old string
	err = s.publishVerified(ctx, "commit step "+step, func(ctx context.Context) (err error) {
		args := redis.SetArgs{Mode: "NX", Get: true, ExpireAt: s.deadline}
		old, err = s.redis.SetArgs(ctx, s.keyOf("step:"+step), text, args).Result()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		first, won = r, true
	case err != nil:
		return Record{}, false, err
	case old == string(text):
		// The connection broke between our own SET and its answer, and the retry found the value of the first try.
		first, won = r, true
	default:
		if first, err = ParseRecord([]byte(old)); err != nil {
			return Record{}, false, fmt.Errorf("run %s: step %s: %w", s.run, step, err)
		}
	}
	// The follower of the run also reads the records, so a lost announcement delays it but is not an error: it is not retried.
	ctx, stop := context.WithTimeout(ctx, announceTime)
	defer stop()
	_ = s.Announce(ctx, Event{Step: step, State: Committed})
	return first, won, nil
}

// Commits returns the records of those steps that have one, in one round trip.
func (s *Store) Commits(ctx context.Context, steps []string) (map[string]Record, error) {
	texts, err := s.readStepKeys(ctx, "read the commit records", "step:", steps)
	if err != nil {
		return nil, err
	}
	records := map[string]Record{}
	for step, text := range texts {
		if records[step], err = ParseRecord(text); err != nil {
			return nil, fmt.Errorf("run %s: step %s: %w", s.run, step, err)
		}
	}
	return records, nil
}

// readStepKeys reads one key of each of these steps and returns the values that exist.
func (s *Store) readStepKeys(ctx context.Context, what, kind string, steps []string) (map[string][]byte, error) {
	found := map[string][]byte{}
	if len(steps) == 0 {
		return found, nil
	}
	var answers []*redis.StringCmd
	err := s.runCommand(ctx, what, func(ctx context.Context) error {
		answers = answers[:0]
		// A pipeline, not MGET: in a Cluster the keys are on several masters.
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			for _, step := range steps {
				answers = append(answers, p.Get(ctx, s.keyOf(kind+step)))
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, step := range steps {
		text, err := answers[i].Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("run %s: %s: step %s: %w", s.run, what, step, translateError(err))
		}
		found[step] = text
	}
	return found, nil
}
