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
const recordVersion = 2

// announceTime limits the time for announcing a commit.
const announceTime = 5 * time.Second

// Record describes how a step ended. The first record of a result wins.
type Record struct {
	V       int       `json:"v"`
	Attempt int       `json:"attempt"`
	Code    int       `json:"code"`
	Layer   Layer     `json:"layer"`
	Base    Layer     `json:"base,omitempty"`    // the layer with which the step started
	Content string    `json:"content,omitempty"` // see [Stored]
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
	if r.V < recordVersion { // an earlier one does not say with which files the step started
		return Record{}, fmt.Errorf("commit record %w: version %d", ErrCorrupt, r.V)
	}
	if _, err := ParseDigest(string(r.Layer)); err != nil {
		return Record{}, fmt.Errorf("commit record %w: layer: %w", ErrCorrupt, err)
	}
	if _, err := ParseDigest(string(r.Base)); r.Base != "" && err != nil {
		return Record{}, fmt.Errorf("commit record %w: base: %w", ErrCorrupt, err)
	}
	if r.Content != "" && !contentForm.MatchString(r.Content) {
		return Record{}, fmt.Errorf("commit record %w: content: %.80q is not a digest of %d hex digits", ErrCorrupt, r.Content, FingerprintPart)
	}
	return r, nil
}

// formatRecord checks a record and returns it as it is stored.
func (r *Record) formatRecord() ([]byte, error) {
	if r.V == 0 {
		r.V = recordVersion
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	_, err = ParseRecord(text)
	return text, err
}

// Commit publishes a result of a step. If another attempt has committed it before, it returns that attempt's record and won is false.
// Everything that the layer needs must be stored before; if the server has lost some of it, the error is [ErrLost]. The commit is
// announced, but the announcement may get lost.
func (s *Store) Commit(ctx context.Context, key ResultKey, r Record) (first Record, won bool, err error) {
	if err := key.check(); err != nil {
		return Record{}, false, fmt.Errorf("run %s: commit: %w", s.run, err)
	}
	text, err := r.formatRecord()
	if err != nil {
		return Record{}, false, fmt.Errorf("run %s: commit step %q: %w", s.run, key.Step, err)
	}
	var old string
	err = s.publishVerified(ctx, "commit step "+key.Step, func(ctx context.Context) (err error) {
		args := redis.SetArgs{Mode: "NX", Get: true, ExpireAt: s.deadline}
		old, err = s.redis.SetArgs(ctx, s.resultKey("step", key), text, args).Result()
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
			return Record{}, false, fmt.Errorf("run %s: step %s: %w", s.run, key.Step, err)
		}
	}
	// The follower of the run also reads the records, so a lost announcement delays it but is not an error: it is not retried.
	ctx, stop := context.WithTimeout(ctx, announceTime)
	defer stop()
	_ = s.Announce(ctx, Event{Step: key.Step, State: Committed})
	return first, won, nil
}

// ReplaceCommit replaces the record of a result whose files were changed by [Store.Rebase], which must be stored before. The error is
// [ErrLost] if the server has lost some of them. It announces nothing, because the step has not ended now.
func (s *Store) ReplaceCommit(ctx context.Context, key ResultKey, r Record) error {
	if err := key.check(); err != nil {
		return fmt.Errorf("run %s: replace a commit: %w", s.run, err)
	}
	text, err := r.formatRecord()
	if err != nil {
		return fmt.Errorf("run %s: replace the commit of step %q: %w", s.run, key.Step, err)
	}
	return s.publishVerified(ctx, "replace the commit of step "+key.Step, func(ctx context.Context) error {
		return s.redis.SetArgs(ctx, s.resultKey("step", key), text, redis.SetArgs{ExpireAt: s.deadline}).Err()
	})
}

// Commits returns the records of those steps that have one with this fingerprint, in one round trip.
func (s *Store) Commits(ctx context.Context, fingerprints map[string]Fingerprint) (map[string]Record, error) {
	texts, err := s.readResults(ctx, "read the commit records", "step", fingerprints)
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

// readResults reads one key of each of these results and returns the values that exist, by the names of the steps.
func (s *Store) readResults(ctx context.Context, what, kind string, fingerprints map[string]Fingerprint) (map[string][]byte, error) {
	keys, err := sortResultKeys(fingerprints)
	if err != nil {
		return nil, fmt.Errorf("run %s: %s: %w", s.run, what, err)
	}
	found := map[string][]byte{}
	if len(keys) == 0 {
		return found, nil
	}
	var answers []*redis.StringCmd
	err = s.runCommand(ctx, what, func(ctx context.Context) error {
		answers = answers[:0]
		// A pipeline, not MGET: in a Cluster the keys are on several masters.
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			for _, key := range keys {
				answers = append(answers, p.Get(ctx, s.resultKey(kind, key)))
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		text, err := answers[i].Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("run %s: %s: step %s: %w", s.run, what, key.Step, translateError(err))
		}
		found[key.Step] = text
	}
	return found, nil
}
