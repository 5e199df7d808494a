package multibuffer

import (
	"crypto/sha256"
	"sync"
)

// Pairs lets goroutines that each need the digest of one message find each other, two by two. The zero value is ready for use.
//
// A message waits for a second one only while one is expected, so what is expected must not depend on a message that waits.
type Pairs struct {
	mu       sync.Mutex
	expected int
	waiting  *waiting
}

type waiting struct {
	message []byte
	digest  chan Digest // closed without one where no second message comes
}

// Expect announces a message: one Sum256 or one Forgo follows, whatever happens.
func (p *Pairs) Expect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected++
}

// Forgo says that an expected message does not come.
func (p *Pairs) Forgo() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected--
	if p.expected == 0 && p.waiting != nil {
		close(p.waiting.digest)
		p.waiting = nil
	}
}

// Sum256 is the SHA-256 of an expected message.
func (p *Pairs) Sum256(message []byte) Digest {
	p.mu.Lock()
	p.expected--
	first := p.waiting
	switch {
	case first != nil:
		p.waiting = nil
		p.mu.Unlock()
		its, mine := Sum256(first.message, message)
		first.digest <- its
		return mine
	case !Available || p.expected == 0:
		p.mu.Unlock()
		return sha256.Sum256(message)
	}
	me := &waiting{message, make(chan Digest, 1)}
	p.waiting = me
	p.mu.Unlock()
	if d, paired := <-me.digest; paired {
		return d
	}
	return sha256.Sum256(message)
}
