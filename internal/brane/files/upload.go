package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// upload sends chunks in parallel. It lives inside [Store.upload]: start, add, flush, end.
type upload struct {
	store *Store
	until time.Time // zero: forever
	group *errgroup.Group
	ctx   context.Context //nolint:containedctx // it is the group's and ends with it
	fresh atomic.Bool     // the last chunk was not there: the next ones are hardly there either
	pack  stream          // the small files, one after the other
	small []packed
}

// packed is a small file whose chunks are known when the packs have been sent.
type packed struct {
	entry *Entry
	first int // its first pack
}

// upload runs add, then sends what is left, waits, and fills in the entries that were added.
func (s *Store) upload(ctx context.Context, until time.Time, add func(*upload) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.parallel)
	u := &upload{store: s, until: until, group: group, ctx: ctx}
	u.pack.upload = u
	err := add(u)
	if err == nil {
		u.pack.flush()
	}
	// The first failed chunk ends the context; what add then met is only its consequence.
	if failed := group.Wait(); failed != nil && (err == nil || ctx.Err() != nil) {
		return failed
	}
	if err != nil {
		return err
	}
	for _, p := range u.small {
		p.entry.Chunks = u.pack.chunks(p.first, chunksOf(p.entry.Offset, p.entry.Size))
	}
	return nil
}

// send stores content in the background, writes its digest to d, and then calls release.
func (u *upload) send(content []byte, d *Digest, release func()) {
	u.group.Go(func() error {
		defer release()
		*d = sha256.Sum256(content)
		return u.put(*d, content)
	})
}

// put asks whether the chunk is there only as long as chunks are: a new tree costs one question, a repeated one no upload.
func (u *upload) put(d Digest, content []byte) error {
	if !u.fresh.Load() {
		found, err := u.store.hasChunk(u.ctx, d)
		if err != nil {
			return err
		}
		if found && !u.until.IsZero() {
			return nil
		}
		u.fresh.Store(!found)
	}
	return u.store.putChunk(u.ctx, d, content, u.until)
}

// addSmall packs the content of a file of at most a chunk. The entry gets its chunks when the upload ends.
func (u *upload) addSmall(e *Entry, content []byte) error {
	e.Size = int64(len(content))
	e.SHA256 = sha256.Sum256(content)
	if len(content) == 0 {
		return nil
	}
	first, offset, err := u.pack.add(content)
	e.Offset = offset
	u.small = append(u.small, packed{e, first})
	return err
}

// opener opens the same file again and again: a handle for each chunk costs microseconds and needs no bookkeeping.
type opener func() (io.ReaderAt, io.Closer, error)

// addLarge sends a file of its own chunks. known are the chunks an older version had: the same ones are not sent again.
// The entry's chunks are filled in when the upload ends.
func (u *upload) addLarge(e *Entry, known []Digest, open opener) error {
	e.Chunks = make([]Digest, chunksOf(0, e.Size))
	for i := range e.Chunks {
		if err := u.ctx.Err(); err != nil {
			return context.Cause(u.ctx)
		}
		u.group.Go(func() error {
			buffer, release := u.store.buffer()
			defer release()
			from := int64(i) * ChunkSize
			content := buffer[:min(ChunkSize, e.Size-from)]
			if err := readAt(open, content, from); err != nil {
				return fmt.Errorf("read %q: %w", e.Path, err)
			}
			d := &e.Chunks[i]
			*d = sha256.Sum256(content)
			if i < len(known) && known[i] == *d {
				return nil
			}
			return u.put(*d, content)
		})
	}
	return nil
}

func readAt(open opener, content []byte, from int64) error {
	r, closer, err := open()
	if err != nil {
		return err
	}
	defer closer.Close() // it was only read
	n, err := r.ReadAt(content, from)
	if n == len(content) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return errChanged
	}
	return err
}

// errChanged says that a file is written to while it is read; storing half of each would be worse than failing.
var errChanged = errors.New("it changed while it was read")

// stream cuts bytes into chunks and sends each full one. Small files and manifests go through one.
type stream struct {
	upload  *upload
	buffer  []byte // what is not sent yet
	release func()
	sent    []*Digest
	shared  map[int][]Digest
}

// add appends bytes and says where they begin: the number of the chunk and the offset in it.
func (w *stream) add(content []byte) (chunk int, offset int64, err error) {
	if len(w.buffer) == ChunkSize {
		w.flush()
	}
	chunk, offset = len(w.sent), int64(len(w.buffer))
	_, err = w.Write(content)
	return chunk, offset, err
}

// Write never keeps content.
func (w *stream) Write(content []byte) (int, error) {
	for rest := content; len(rest) > 0; {
		if err := w.upload.ctx.Err(); err != nil {
			return 0, context.Cause(w.upload.ctx)
		}
		if w.release == nil {
			var buffer []byte
			buffer, w.release = w.upload.store.buffer()
			w.buffer = buffer[:0]
		}
		n := min(len(rest), ChunkSize-len(w.buffer))
		w.buffer = append(w.buffer, rest[:n]...)
		rest = rest[n:]
		if len(w.buffer) == ChunkSize {
			w.flush()
		}
	}
	return len(content), nil
}

// flush sends what was written since the last full chunk.
func (w *stream) flush() {
	if len(w.buffer) == 0 {
		return
	}
	d := new(Digest)
	w.sent = append(w.sent, d)
	w.upload.send(w.buffer, d, w.release)
	w.buffer, w.release = nil, nil
}

// chunks are the digests of n chunks; to be called after the upload. Files of one pack share the list.
func (w *stream) chunks(first int, n int64) []Digest {
	if n == 1 {
		if shared := w.shared[first]; shared != nil {
			return shared
		}
	}
	list := make([]Digest, n)
	for i := range list {
		list[i] = *w.sent[first+i]
	}
	if n == 1 {
		if w.shared == nil {
			w.shared = map[int][]Digest{}
		}
		w.shared[first] = list
	}
	return list
}
