// Package multibuffer computes the SHA-256 of two messages at once, on one core.
//
// Each round of SHA-256 needs the result of the one before, so the SHA extensions of an x86 processor stand idle for more than half of the time that one
// message takes. Two messages need nothing of each other: side by side they take 1.2 times as long as one. Intel's name for this is multi-buffer hashing.
// No library in Go has it for these instructions; the standard library stays the way for one message, and for all on other processors.
//
// The package knows nothing of chunks, files and Redis.
package multibuffer

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest is a SHA-256.
type Digest = [sha256.Size]byte

const blockSize = sha256.BlockSize

// state is a SHA-256 between two blocks, in the order in which the instructions have it: f e b a, h g d c.
type state [8]uint32

// initial is H(0) of FIPS 180-4, 5.3.3.
var initial = state{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}

func (s *state) digest() (d Digest) {
	for i, at := range [...]int{3, 2, 7, 6, 1, 0, 5, 4} {
		binary.BigEndian.PutUint32(d[4*i:], s[at])
	}
	return d
}

// mostUneven is how many times as long as the other one message may be: what has no counterpart takes 1.25 times as long as with the standard library.
const mostUneven = 4

// Sum256 is the SHA-256 of each of two messages.
func Sum256(one, two []byte) (first, second Digest) {
	if !Available || max(len(one), len(two)) > mostUneven*min(len(one), len(two)) {
		return sha256.Sum256(one), sha256.Sum256(two)
	}
	a, b := initial, initial
	hash(&a, &b, one[:len(one)/blockSize*blockSize], two[:len(two)/blockSize*blockSize])
	endOfOne, endOfTwo := padded(one), padded(two)
	hash(&a, &b, endOfOne.blocks(), endOfTwo.blocks())
	return a.digest(), b.digest()
}

// hash adds whole blocks to two states.
func hash(a, b *state, one, two []byte) {
	both := min(len(one), len(two))
	blocks(a, b, one[:both], two[:both])
	var nobody state
	blocks(a, &nobody, one[both:], one[both:])
	blocks(b, &nobody, two[both:], two[both:])
}

// end is what is left of a message behind its last whole block, with the padding of FIPS 180-4, 5.1.1.
type end struct {
	bytes [2 * blockSize]byte
	size  int
}

func padded(message []byte) (e end) {
	const ofLength = 8
	n := copy(e.bytes[:], message[len(message)/blockSize*blockSize:])
	e.bytes[n] = 0x80
	e.size = blockSize
	if n+1+ofLength > blockSize {
		e.size = 2 * blockSize
	}
	binary.BigEndian.PutUint64(e.bytes[e.size-ofLength:], uint64(len(message))*8)
	return e
}

func (e *end) blocks() []byte { return e.bytes[:e.size] }
