package files

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrLost says that the server has lost chunks that it had accepted, by a fail-over or a restart; nothing was published. What was to be stored has
// to be stored again, which sends only what is missing: see [Again].
var ErrLost = errors.New("redis has lost what it had stored")

// proof remembers what was sent. A server that fails over to a replica, or starts again from what it had on disk, may have answered OK to chunks that
// it does not have any more. So nothing is published before they are looked for, where anything has failed in between.
type proof struct {
	mu      sync.Mutex
	chunks  []Digest
	doubted bool
}

func (p *proof) add(d Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chunks = append(p.chunks, d)
}

func (p *proof) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubted = true
}

// open gives what is to be looked for, and begins anew.
func (p *proof) open() []Digest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.doubted {
		return nil
	}
	p.doubted = false
	return append([]Digest(nil), p.chunks...)
}

// prove finds out whether all that was sent is still there. It comes before every publication.
func (s *Store) prove(ctx context.Context) error {
	for chunks := s.sent.open(); len(chunks) > 0; chunks = s.sent.open() {
		lost, err := s.absent(ctx, chunks)
		if err != nil {
			return err
		}
		if len(lost) > 0 {
			return fmt.Errorf("run %s: %d of %d chunks: %w", s.run, len(lost), len(chunks), ErrLost)
		}
	}
	return nil
}

// againTimes is how often what was lost is stored again: more fail-overs in a row are no accident.
const againTimes = 5

// Again runs store, and again where that ended with [ErrLost].
func Again(store func() error) (err error) {
	for range againTimes {
		if err = store(); !errors.Is(err, ErrLost) {
			return err
		}
	}
	return err
}
