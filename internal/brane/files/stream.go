package files

import (
	"crypto/sha256"
	"sync/atomic"
)

// packFiles is the maximum number of files that begin in one pack. Its reader holds all its files in memory, so millions of
// empty files must not share one.
const packFiles = 2048

// stream cuts bytes into chunks and sends each one when it is full. It is used for small files and manifests.
type stream struct {
	upload *upload
	last   *chunkInWork // has room left; nil if the next byte begins a new one
	files  int          // that begin in it
	sent   []*sentChunk
	shared []Digest // the last list of a single chunk
}

// sentChunk is one chunk of a stream.
type sentChunk struct {
	digest Digest
	done   atomic.Bool // it is stored, and the entries of the files in it are correct
}

// chunkInWork is a chunk that several goroutines fill.
type chunkInWork struct {
	buffer  []byte // its length is the room that is reserved
	sent    *sentChunk
	release func()
	writers atomic.Int32 // those that have not filled their part; the stream counts as one while there is room left
}

// room is the place of a small file in a stream: in one chunk, or at the end of one and the beginning of the next.
type room struct {
	chunk         int   // index of the first chunk
	offset        int64 // in that chunk
	first, second []byte
	in            [2]*chunkInWork
}

// reserveRoom returns room for 1 to ChunkSize bytes. The caller must fill it.
func (w *stream) reserveRoom(size int) room {
	if w.files >= packFiles {
		w.releaseChunk()
	}
	var r room
	r.in[0], r.first = w.reserveUpTo(size)
	w.files++
	r.chunk, r.offset = len(w.sent)-1, int64(len(r.in[0].buffer)-len(r.first))
	w.flushIfFull()
	if rest := size - len(r.first); rest > 0 {
		r.in[1], r.second = w.reserveUpTo(rest)
		w.flushIfFull()
	}
	return r
}

// fillWith copies content into the room.
func (r room) fillWith(content []byte) {
	copy(r.second, content[copy(r.first, content):])
}

// contentDigest returns the digest of the content of the room.
func (r room) contentDigest() (d Digest) {
	if len(r.second) == 0 {
		return sha256.Sum256(r.first)
	}
	hash := sha256.New()
	hash.Write(r.first)
	hash.Write(r.second)
	hash.Sum(d[:0])
	return d
}

// reserveUpTo reserves at most size bytes of the last chunk.
func (w *stream) reserveUpTo(size int) (*chunkInWork, []byte) {
	if w.last == nil {
		buffer, release := w.upload.store.acquireBuffer()
		w.last = &chunkInWork{buffer: buffer[:0], sent: &sentChunk{}, release: release}
		w.last.writers.Store(1)
		w.sent = append(w.sent, w.last.sent)
	}
	c := w.last
	from := len(c.buffer)
	c.buffer = c.buffer[:min(from+size, ChunkSize)]
	c.writers.Add(1)
	return c, c.buffer[from:]
}

// flushIfFull flushes the last chunk if it has no room left.
func (w *stream) flushIfFull() {
	if w.last != nil && len(w.last.buffer) == ChunkSize {
		w.releaseChunk()
	}
}

// releaseChunk releases the last chunk; it is sent when all its writers have finished.
func (w *stream) releaseChunk() {
	if c := w.last; c != nil {
		w.last, w.files = nil, 0
		w.releaseWriter(c)
	}
}

// markFilled marks the room as filled. Only the goroutine that reserves may call it.
func (w *stream) markFilled(r room) {
	for _, c := range r.in {
		if c != nil {
			w.releaseWriter(c)
		}
	}
}

// markFilledInBackground marks the room as filled, for goroutines of the upload. The last writer sends the chunk itself, because it cannot
// start another goroutine while the limit is reached.
func (w *stream) markFilledInBackground(r room) error {
	for _, c := range r.in {
		if c == nil || c.writers.Add(-1) > 0 {
			continue
		}
		if err := w.sendChunk(c); err != nil {
			return err
		}
	}
	return nil
}

func (w *stream) releaseWriter(c *chunkInWork) {
	if c.writers.Add(-1) == 0 {
		w.upload.group.Go(func() error { return w.sendChunk(c) })
	}
}

func (w *stream) sendChunk(c *chunkInWork) error {
	defer c.release()
	c.sent.digest = digestOf(c.buffer)
	if err := w.upload.putChunk(c.sent.digest, c.buffer); err != nil {
		return err
	}
	c.sent.done.Store(true)
	return nil
}

// Write implements [io.Writer]. It does not keep content.
func (w *stream) Write(content []byte) (int, error) {
	for rest := content; len(rest) > 0; {
		if err := w.upload.stopReason(); err != nil {
			return 0, err
		}
		c, place := w.reserveUpTo(len(rest))
		rest = rest[copy(place, rest):]
		w.releaseWriter(c)
		w.flushIfFull()
	}
	return len(content), nil
}

// isStored reports whether n chunks are stored.
func (w *stream) isStored(first int, n int64) bool {
	for _, c := range w.sent[first : first+int(n)] {
		if !c.done.Load() {
			return false
		}
	}
	return true
}

// listDigests returns the digests of n stored chunks. Files of one pack share the list.
func (w *stream) listDigests(first int, n int64) []Digest {
	if n == 1 && len(w.shared) == 1 && w.shared[0] == w.sent[first].digest {
		return w.shared
	}
	list := make([]Digest, n)
	for i := range list {
		list[i] = w.sent[first+i].digest
	}
	if n == 1 {
		w.shared = list
	}
	return list
}
