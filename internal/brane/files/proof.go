package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// ErrLost says that the server has lost chunks that it had accepted, by a fail-over or a restart; nothing was published. What was to be stored has
// to be stored again, which sends only what is missing: see [Again].
var ErrLost = errors.New("redis has lost data that it had accepted")

// proof remembers what was sent, or was there when it was to be sent. A server that fails over to a replica, or starts again from what it had on disk, may have
// answered OK to chunks that it does not have any more; and a client that finds its idle connections closed makes new ones without a word. So nothing is published
// before they are looked for, which takes a round trip for hundreds of them.
type proof struct {
	mu     sync.Mutex
	chunks map[Digest]bool
}

func (p *proof) add(d Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chunks == nil {
		p.chunks = map[Digest]bool{}
	}
	p.chunks[d] = true
}

func (p *proof) all() []Digest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.chunks))
}

// forget is for what is lost: whoever still needs it stores it again.
func (p *proof) forget(lost map[Digest]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for d := range lost {
		delete(p.chunks, d)
	}
}

// prove finds out whether all that was stored is still there.
func (s *Store) prove(ctx context.Context) error {
	chunks := s.sent.all()
	lost, err := s.absent(ctx, chunks)
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		s.sent.forget(lost)
		return fmt.Errorf("run %s: %d of %d chunks: %w", s.run, len(lost), len(chunks), ErrLost)
	}
	return nil
}

// publish runs the command that lets others see what was stored. Each try of it comes after a proof: a server that has let the last one fail may be another one now.
func (s *Store) publish(ctx context.Context, what string, command func(context.Context) error) error {
	var unproven error
	err := s.do(ctx, what, func(ctx context.Context) error {
		if unproven = s.prove(ctx); unproven != nil {
			return nil //nolint:nilerr // it has been patient itself, and is returned below
		}
		return command(ctx)
	})
	if unproven != nil {
		return fmt.Errorf("%s: %w", what, unproven)
	}
	return err
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
