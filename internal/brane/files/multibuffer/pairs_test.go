package multibuffer

import (
	"crypto/sha256"
	"sync"
	"testing"
	"testing/synctest"
)

// come lets a message come, and gives what its goroutine ends with.
func come(p *Pairs, message []byte) <-chan Digest {
	digest := make(chan Digest, 1)
	go func() { digest <- p.Sum256(message) }()
	synctest.Wait()
	return digest
}

// done takes the digest that has to be there by now.
func done(t *testing.T, digest <-chan Digest, message string) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-digest:
		if want := sha256.Sum256([]byte(message)); got != want {
			t.Errorf("%q: got %x, want %x", message, got, want)
		}
	default:
		t.Errorf("%q still waits", message)
	}
}

func TestPairs(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, p *Pairs){
		"a message that nobody follows does not wait": func(t *testing.T, p *Pairs) {
			p.Expect()
			done(t, come(p, []byte("one")), "one")
		},
		"a message waits for the one that is expected": func(t *testing.T, p *Pairs) {
			p.Expect()
			p.Expect()
			one := come(p, []byte("one"))
			if len(one) > 0 == Available {
				t.Errorf("it was done alone: %v; with the SHA extensions it has to wait, without them it must not", len(one) > 0)
			}
			two := come(p, []byte("another"))
			done(t, one, "one")
			done(t, two, "another")
		},
		"a message that waits goes alone when the last expected one does not come": func(t *testing.T, p *Pairs) {
			p.Expect()
			p.Expect()
			p.Expect()
			one := come(p, []byte("one"))
			p.Forgo()
			p.Forgo()
			done(t, one, "one")
		},
		"the third of three goes alone": func(t *testing.T, p *Pairs) {
			p.Expect()
			p.Expect()
			p.Expect()
			one, two, three := come(p, []byte("one")), come(p, []byte("two")), come(p, []byte("three"))
			done(t, one, "one")
			done(t, two, "two")
			done(t, three, "three")
		},
		"after a message that did not come, the next ones meet as before": func(t *testing.T, p *Pairs) {
			p.Expect()
			p.Forgo()
			p.Expect()
			p.Expect()
			one, two := come(p, []byte("one")), come(p, []byte("two"))
			done(t, one, "one")
			done(t, two, "two")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, &Pairs{}) })
		})
	}
}

// Whoever comes, when and how many: all get their own digest, and nobody waits for good.
func TestPairs_many(t *testing.T) {
	var p Pairs
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 200 {
				p.Expect()
				if (g+i)%5 == 0 {
					p.Forgo()
					continue
				}
				message := noise(g*100 + i)
				if got, want := p.Sum256(message), sha256.Sum256(message); got != want {
					t.Errorf("message %d of goroutine %d: got %x, want %x", i, g, got, want)
				}
			}
		})
	}
	all.Wait()
}
