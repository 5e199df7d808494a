package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ChunkSize is the maximum size of one key: 1 MiB - 64 B. A power of two would fall into the next size class of Redis' allocator and use a
// quarter more memory.
const ChunkSize = 1<<20 - 64

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// ParseDigest parses 64 hex digits.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != 2*len(d) {
		return d, fmt.Errorf("%.80q is not a digest of 64 hex digits", text)
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return Digest{}, fmt.Errorf("%q is not a digest of 64 hex digits", text)
	}
	return d, nil
}

// String returns 64 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether the digest is not set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns 64 hex digits, or nothing for the zero digest.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText parses the output of MarshalText.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d = Digest{}
	if len(text) > 0 {
		*d, err = ParseDigest(string(text))
	}
	return err
}

func (d Digest) shortText() string { return d.String()[:12] }

// putChunk stores one chunk until the run's deadline. NX keeps a chunk without a deadline as it is if a late attempt sends it again.
func (s *Store) putChunk(ctx context.Context, d Digest, content []byte) error {
	err := s.transferChunk(ctx, "write chunk "+d.shortText(), func(ctx context.Context) error {
		return s.redis.SetArgs(ctx, s.chunkKey(d), content, redis.SetArgs{Mode: "NX", ExpireAt: s.deadline}).Err()
	})
	if errors.Is(err, redis.Nil) { // it exists already
		_, err = s.extendChunk(ctx, d)
	}
	if err == nil {
		s.sent.addChunk(d)
	}
	return err
}

// extendChunk reports whether a chunk exists already, as after an interrupted upload, and need not be sent. An earlier execution may have stored it, so it
// extends the deadline of the chunk to that of the store if it is earlier.
func (s *Store) extendChunk(ctx context.Context, d Digest) (found bool, err error) {
	err = s.transferChunk(ctx, "look for chunk "+d.shortText(), func(ctx context.Context) error {
		var exists *redis.IntCmd
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) { exists = s.extendKey(ctx, p, s.chunkKey(d)) })
		found = exists.Val() == 1
		return err
	})
	return found, err
}

// getChunk reads and verifies one chunk into a buffer of ChunkSize+2 bytes.
func (s *Store) getChunk(ctx context.Context, d Digest, buffer []byte) ([]byte, error) {
	var n int
	err := s.transferChunk(ctx, "read chunk "+d.shortText(), func(ctx context.Context) (err error) {
		n, err = s.redis.GetToBuffer(ctx, s.chunkKey(d), buffer).Result()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		return nil, fmt.Errorf("run %s: chunk %s %w", s.run, d.shortText(), ErrGone)
	case err != nil && strings.Contains(err.Error(), "buffer too small"): // the client has no typed error for it
		return nil, fmt.Errorf("run %s: chunk %s %w: it is larger than a chunk", s.run, d.shortText(), ErrCorrupt)
	case err != nil:
		return nil, err
	case digestOf(buffer[:n]) != d || n > ChunkSize:
		return nil, fmt.Errorf("run %s: chunk %s %w: the stored content has another digest", s.run, d.shortText(), ErrCorrupt)
	}
	return buffer[:n], nil
}

// transferChunk runs a command about one chunk. It limits how many run concurrently, and with them the connections of each pod.
func (s *Store) transferChunk(ctx context.Context, what string, command func(context.Context) error) error {
	select {
	case s.wire <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.wire }()
	return s.runCommand(ctx, what, command)
}

// acquireBuffer returns room for one chunk and the 2 spare bytes that GetToBuffer needs. A sync.Pool would give idle buffers to the garbage
// collector and allocate new ones while the old ones still count as used memory.
func (s *Store) acquireBuffer() (buffer []byte, release func()) {
	select {
	case buffer = <-s.buffers:
	default:
		buffer = make([]byte, ChunkSize+2)
	}
	return buffer, func() {
		select {
		case s.buffers <- buffer:
		default:
		}
	}
}

func digestOf(content []byte) Digest { return sha256.Sum256(content) }
