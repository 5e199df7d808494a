package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// ErrLost means that the server has lost chunks that it had accepted, in a fail-over or a restart; nothing was published. The caller must
// store everything again, which sends only what is missing: see [Again].
var ErrLost = errors.New("redis has lost data that it had accepted")

// proof remembers which chunks were sent, or existed already when they were to be sent. A server that fails over to a replica, or restarts
// from what it had on disk, may have answered OK to chunks that it does not have any more, and the client silently replaces closed idle
// connections. So all of them are looked up before anything is published, hundreds in one round trip.
type proof struct {
	mu     sync.Mutex
	chunks map[Digest]bool
}

func (p *proof) addChunk(d Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chunks == nil {
		p.chunks = map[Digest]bool{}
	}
	p.chunks[d] = true
}

func (p *proof) allChunks() []Digest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.chunks))
}

// forgetChunks removes lost chunks; they are stored again if they are still needed.
func (p *proof) forgetChunks(lost map[Digest]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for d := range lost {
		delete(p.chunks, d)
	}
}

// checkSentChunks checks that everything that was stored still exists.
func (s *Store) checkSentChunks(ctx context.Context) error {
	chunks := s.sent.allChunks()
	lost, err := s.findMissingChunks(ctx, chunks)
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		s.sent.forgetChunks(lost)
		return fmt.Errorf("run %s: %d of %d chunks: %w", s.run, len(lost), len(chunks), ErrLost)
	}
	return nil
}

// publishVerified runs the command that makes stored data visible to others. It calls prove before each try: after a failed try, another server may
// answer.
func (s *Store) publishVerified(ctx context.Context, what string, command func(context.Context) error) error {
	var unproven error
	err := s.runCommand(ctx, what, func(ctx context.Context) error {
		if unproven = s.checkSentChunks(ctx); unproven != nil {
			return nil //nolint:nilerr // it has been patient itself, and is returned below
		}
		return command(ctx)
	})
	if unproven != nil {
		return fmt.Errorf("%s: %w", what, unproven)
	}
	return err
}

// againTimes is how often lost data is stored again: that many fail-overs in a row are not an accident.
const againTimes = 5

// Again runs store, and repeats it if it returned [ErrLost].
func Again(store func() error) (err error) {
	for range againTimes {
		if err = store(); !errors.Is(err, ErrLost) {
			return err
		}
	}
	return err
}
