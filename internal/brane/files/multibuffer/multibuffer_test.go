package multibuffer

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

func noise(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content) // it never fails
	return content
}

// check compares with the standard library.
func check(t *testing.T, one, two []byte) {
	t.Helper()
	first, second := Sum256(one, two)
	if want := sha256.Sum256(one); first != want {
		t.Errorf("the first, of %d bytes beside %d: got %x, want %x", len(one), len(two), first, want)
	}
	if want := sha256.Sum256(two); second != want {
		t.Errorf("the second, of %d bytes beside %d: got %x, want %x", len(two), len(one), second, want)
	}
}

// Around each multiple of a block the padding takes another form.
func TestSum256(t *testing.T) {
	content := noise(400)
	for one := range 200 {
		for two := range 200 {
			check(t, content[:one], content[200-two:][:two])
		}
	}
	check(t, noise(1<<20-64), bytes.Repeat([]byte{0xff}, 1<<20-64))
	check(t, noise(1<<20), nil)
}

func FuzzSum256(f *testing.F) {
	f.Add([]byte("abc"), []byte{})
	f.Add(noise(1000), noise(119))
	f.Fuzz(func(t *testing.T, one, two []byte) { check(t, one, two) })
}

const chunk = 1<<20 - 64

func BenchmarkTwo(b *testing.B) {
	one, two := noise(chunk), noise(chunk)
	b.SetBytes(2 * chunk)
	for b.Loop() {
		Sum256(one, two)
	}
}

func BenchmarkStandardLibrary(b *testing.B) {
	one := noise(chunk)
	b.SetBytes(chunk)
	for b.Loop() {
		sha256.Sum256(one)
	}
}
