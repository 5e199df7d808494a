package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// FingerprintPart is the number of hex digits of each part of a [Fingerprint].
const FingerprintPart = 32

// Fingerprint identifies what decided a step's result: "<configuration>-<seen>", each 32 hex digits. The first part is a digest of the step's
// configuration, the second one of what the step sees. This package computes neither: see [Store.DigestView] for the files.
type Fingerprint string

var (
	fingerprintForm = regexp.MustCompile(`^[0-9a-f]{32}-[0-9a-f]{32}$`)
	contentForm     = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// NewFingerprint returns the fingerprint of two digests, as [ShortDigest] returns them.
func NewFingerprint(configuration, seen string) Fingerprint {
	return Fingerprint(configuration + "-" + seen)
}

// Configuration returns the digest of the step's configuration.
func (f Fingerprint) Configuration() string {
	configuration, _, _ := strings.Cut(string(f), "-")
	return configuration
}

// Seen returns the digest of what the step sees.
func (f Fingerprint) Seen() string {
	_, seen, _ := strings.Cut(string(f), "-")
	return seen
}

// Check returns an error if the fingerprint is not two times 32 hex digits with a dash in between.
func (f Fingerprint) Check() error {
	if !fingerprintForm.MatchString(string(f)) {
		return fmt.Errorf("%.80q is not a fingerprint of two times %d hex digits", string(f), FingerprintPart)
	}
	return nil
}

// ShortDigest returns the first 16 bytes of the SHA-256 of data, as hex digits. This is short enough for the keys of a run to be read, and no two
// steps have the same one by chance.
func ShortDigest(data []byte) string { return shortDigestOf(sha256.Sum256(data)) }

func shortDigestOf(d Digest) string { return hex.EncodeToString(d[:FingerprintPart/2]) }

// ResultKey names one result of a step, or of an index of a fan-out step as "fan.3".
type ResultKey struct {
	Step        string
	Fingerprint Fingerprint
}

// String returns the step, a colon and the fingerprint.
func (k ResultKey) String() string { return k.Step + ":" + string(k.Fingerprint) }

// check returns an error if the key is not that of a result, so that no key in Redis gets another meaning.
func (k ResultKey) check() error {
	if !ValidStep(k.Step) {
		return fmt.Errorf("%q is not a valid step name", k.Step)
	}
	if err := k.Fingerprint.Check(); err != nil {
		return fmt.Errorf("step %s: %w", k.Step, err)
	}
	return nil
}

// resultKey returns the key in Redis of something of this kind that belongs to a result.
func (s *Store) resultKey(kind string, key ResultKey) string {
	return s.keyOf(kind + ":" + key.String())
}

// sortResultKeys returns the keys of the results of these steps.
func sortResultKeys(fingerprints map[string]Fingerprint) ([]ResultKey, error) {
	var keys []ResultKey
	for _, step := range slices.Sorted(maps.Keys(fingerprints)) {
		key := ResultKey{step, fingerprints[step]}
		if err := key.check(); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// SetFingerprints records with which fingerprints the run executes these steps, for those who read its results.
func (s *Store) SetFingerprints(ctx context.Context, fingerprints map[string]Fingerprint) error {
	const what = "write the fingerprints of the steps"
	keys, err := sortResultKeys(fingerprints)
	if err != nil {
		return fmt.Errorf("run %s: %s: %w", s.run, what, err)
	}
	if len(keys) == 0 {
		return nil
	}
	var fields []string
	for _, key := range keys {
		fields = append(fields, key.Step, string(key.Fingerprint))
	}
	return s.runCommand(ctx, what, func(ctx context.Context) error {
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			p.HSet(ctx, s.keyOf("fingerprints"), fields)
			p.ExpireAt(ctx, s.keyOf("fingerprints"), s.deadline)
		})
		return err
	})
}

// ResetFingerprints removes what SetFingerprints recorded.
func (s *Store) ResetFingerprints(ctx context.Context) error {
	return s.runCommand(ctx, "remove the fingerprints of the steps", func(ctx context.Context) error {
		return s.redis.Unlink(ctx, s.keyOf("fingerprints")).Err()
	})
}

// Fingerprints returns what SetFingerprints recorded; it is empty if nothing was recorded.
func (s *Store) Fingerprints(ctx context.Context) (map[string]Fingerprint, error) {
	const what = "read the fingerprints of the steps"
	var fields map[string]string
	err := s.runCommand(ctx, what, func(ctx context.Context) (err error) {
		fields, err = s.redis.HGetAll(ctx, s.keyOf("fingerprints")).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	fingerprints := make(map[string]Fingerprint, len(fields))
	for step, text := range fields {
		fingerprints[step] = Fingerprint(text)
	}
	if _, err := sortResultKeys(fingerprints); err != nil {
		return nil, fmt.Errorf("run %s: %s: one of them %w: %w", s.run, what, ErrCorrupt, err)
	}
	return fingerprints, nil
}
