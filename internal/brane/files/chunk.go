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

// ChunkSize is the most one key holds: 1 MiB - 64 B. A power of two would land in the allocator's next size class and
// cost a quarter of the memory.
const ChunkSize = 1<<20 - 64

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// ParseDigest reads 64 hex digits.
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

// String is 64 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero tells whether there is no digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText is for JSON: 64 hex digits, or nothing for no digest.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText is the reverse of MarshalText.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d = Digest{}
	if len(text) > 0 {
		*d, err = ParseDigest(string(text))
	}
	return err
}

func (d Digest) short() string { return d.String()[:12] }

// putChunk stores one chunk, with the deadline. NX leaves a chunk that is kept for good without one, should a late attempt send it again.
func (s *Store) putChunk(ctx context.Context, d Digest, content []byte) error {
	err := s.onWire(ctx, "write chunk "+d.short(), func(ctx context.Context) error {
		return s.redis.SetArgs(ctx, s.chunkKey(d), content, redis.SetArgs{Mode: "NX", ExpireAt: s.deadline}).Err()
	})
	if errors.Is(err, redis.Nil) { // it is there already
		err = nil
	}
	if err == nil {
		s.sent.add(d)
	}
	return err
}

// hasChunk saves sending what is there already, as after a killed upload.
func (s *Store) hasChunk(ctx context.Context, d Digest) (found bool, err error) {
	err = s.do(ctx, "look for chunk "+d.short(), func(ctx context.Context) error {
		n, err := s.redis.Exists(ctx, s.chunkKey(d)).Result()
		found = n == 1
		return err
	})
	return found, err
}

// getChunk reads and verifies one chunk into a buffer of ChunkSize+2 bytes.
func (s *Store) getChunk(ctx context.Context, d Digest, buffer []byte) ([]byte, error) {
	var n int
	err := s.onWire(ctx, "read chunk "+d.short(), func(ctx context.Context) (err error) {
		n, err = s.redis.GetToBuffer(ctx, s.chunkKey(d), buffer).Result()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		return nil, fmt.Errorf("run %s: chunk %s %w", s.run, d.short(), ErrGone)
	case err != nil && strings.Contains(err.Error(), "buffer too small"): // the client has no name for it
		return nil, fmt.Errorf("run %s: chunk %s %w: it is larger than a chunk", s.run, d.short(), ErrCorrupt)
	case err != nil:
		return nil, err
	case digestOf(buffer[:n]) != d || n > ChunkSize:
		return nil, fmt.Errorf("run %s: chunk %s %w: the stored content has another digest", s.run, d.short(), ErrCorrupt)
	}
	return buffer[:n], nil
}

// onWire runs a command that carries a chunk. As many run at once as the store may have in flight.
func (s *Store) onWire(ctx context.Context, what string, command func(context.Context) error) error {
	select {
	case s.wire <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.wire }()
	return s.do(ctx, what, command)
}

// buffer is one chunk and the 2 spare bytes that GetToBuffer wants. A sync.Pool would give idle ones to the collector, and take fresh ones from
// the system while these still count.
func (s *Store) buffer() (buffer []byte, release func()) {
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
