package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// upload sends chunks in parallel. It lives inside [Store.upload]: start, add, flush, end.
type upload struct {
	store *Store
	group *errgroup.Group
	ctx   context.Context //nolint:containedctx // it is the group's and ends with it
	fresh atomic.Bool     // the last chunk was not there: the next ones are hardly there either
	pack  stream          // the small files, one after the other
	batch []smallToRead
	bytes int                // of the batch
	ready func(*Entry) error // hears of each entry when all of it is stored, in the order in which they were added; may be nil
	queue []queued
}

// queued is an entry that is not stored yet, or behind one that is not.
type queued struct {
	entry  *Entry
	old    *Entry        // what was at its path before, which stands if it is the same; may be nil
	packed bool          // it is a small file, whose chunks are not known before its packs are
	pack   int           // the first of these
	left   *atomic.Int32 // of a large file: chunks that are not stored
}

// smallToRead is a small file that has its room, but is not read.
type smallToRead struct {
	entry *Entry
	room  room
	read  func(into ...[]byte) error
}

// A goroutine reads several small files: starting one takes as long as reading one.
const (
	batchFiles = 32
	batchBytes = 128 << 10
)

// upload runs add, then sends what is left, waits, and fills in the entries that were added.
func (s *Store) upload(ctx context.Context, add func(*upload) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.workers())
	u := &upload{store: s, group: group, ctx: ctx}
	u.pack.upload = u
	err := add(u)
	u.readBatch() // also when it is not needed any more: it closes the files
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
	return u.settle()
}

// put asks whether the chunk is there only as long as chunks are: a new tree costs one question, a repeated one no upload.
func (u *upload) put(d Digest, content []byte) error {
	if !u.fresh.Load() {
		found, err := u.store.hasChunk(u.ctx, d)
		if err != nil {
			return err
		}
		if found {
			u.store.sent.add(d) // a fail-over may still lose it: who sent it may have been answered a moment ago
			return nil
		}
		u.fresh.Store(!found)
	}
	return u.store.putChunk(u.ctx, d, content)
}

// add queues an entry whose content, if it has any, is stored already.
func (u *upload) add(e *Entry) error { return u.enqueue(queued{entry: e}) }

func (u *upload) enqueue(q queued) error {
	u.queue = append(u.queue, q)
	if err := u.settle(); err != nil {
		return err
	}
	return u.ended()
}

// settle tells of the entries that are ready.
func (u *upload) settle() error {
	done := 0
	for _, q := range u.queue {
		if !u.stored(q) {
			break
		}
		done++
		e := q.entry
		if q.old != nil && e.sameContent(*q.old) && e.Mode == q.old.Mode {
			e = q.old
		}
		if u.ready != nil {
			if err := u.ready(e); err != nil {
				return err
			}
		}
	}
	if u.queue = u.queue[done:]; len(u.queue) == 0 {
		u.queue = nil // a slice that only moves on would keep all that was in it
	}
	return nil
}

// stored tells whether all of an entry is stored, and fills its chunks in when it is.
func (u *upload) stored(q queued) bool {
	e := q.entry
	switch {
	case q.left != nil:
		return q.left.Load() == 0
	case !q.packed:
		return true
	}
	n := chunksOf(e.Offset, e.Size)
	if !u.pack.stored(q.pack, n) {
		return false
	}
	e.Chunks = u.pack.chunks(q.pack, n)
	return true
}

// addSmall packs the content of a file of at most a chunk. The entry gets its chunks when the upload ends.
func (u *upload) addSmall(e *Entry, content []byte) error {
	e.Size = int64(len(content))
	e.SHA256 = sha256.Sum256(content)
	if len(content) == 0 {
		return u.add(e)
	}
	room := u.room(e)
	room.fill(content)
	u.pack.filled(room)
	return u.enqueue(queued{entry: e, packed: true, pack: room.chunk})
}

// addSmallFile packs a file of at most a chunk, which is read in the background: straight into its pack, as its size says where it will lie.
// read is called once; it fills what it is given and closes the file. The entry gets its digest and its chunks when the upload ends.
func (u *upload) addSmallFile(e, old *Entry, read func(into ...[]byte) error) error {
	if e.Size == 0 {
		e.SHA256 = sha256.Sum256(nil)
		return errors.Join(read(), u.enqueue(queued{entry: e, old: old}))
	}
	room := u.room(e)
	u.batch = append(u.batch, smallToRead{e, room, read})
	if u.bytes += int(e.Size); len(u.batch) >= batchFiles || u.bytes >= batchBytes {
		u.readBatch()
	}
	return u.enqueue(queued{entry: e, old: old, packed: true, pack: room.chunk})
}

// readBatch reads the small files that have their room.
func (u *upload) readBatch() {
	batch := u.batch
	u.batch, u.bytes = nil, 0
	if len(batch) == 0 {
		return
	}
	u.group.Go(func() (err error) {
		for _, f := range batch {
			if err != nil || u.ctx.Err() != nil {
				_ = f.read() // only closes it
				continue
			}
			if err = f.read(f.room.first, f.room.second); err != nil {
				err = fmt.Errorf("read %q: %w", f.entry.Path, err)
			}
		}
		if err != nil || u.ctx.Err() != nil {
			return err
		}
		return u.filled(batch)
	})
}

// filled sets the digests of small files that were read, and lets their packs be sent.
func (u *upload) filled(batch []smallToRead) error {
	for _, f := range batch {
		f.entry.SHA256 = f.room.digest()
		if err := u.pack.filledInBackground(f.room); err != nil {
			return err
		}
	}
	return nil
}

// room gives an entry its place in the packs.
func (u *upload) room(e *Entry) room {
	room := u.pack.reserve(int(e.Size))
	e.Offset = room.offset
	return room
}

// ended is why the upload cannot go on, nil while it can.
func (u *upload) ended() error {
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	return nil
}

// opener opens the same file again and again: a handle for each chunk costs microseconds and needs no bookkeeping.
type opener func() (io.ReaderAt, io.Closer, error)

// addLarge sends a file of its own chunks. The same ones that old has, if it is there, are not sent again.
// The entry's chunks are filled in when the upload ends.
func (u *upload) addLarge(e, old *Entry, open opener) error {
	var known []Digest
	if old != nil && old.Size > ChunkSize {
		known = old.Chunks
	}
	e.Chunks = make([]Digest, chunksOf(0, e.Size))
	left := new(atomic.Int32)
	left.Store(int32(len(e.Chunks))) //nolint:gosec // no memory holds 2^31 digests
	for i := range e.Chunks {
		if err := u.ended(); err != nil {
			return err
		}
		u.group.Go(func() error {
			buffer, release := u.store.buffer()
			defer release()
			from := int64(i) * ChunkSize
			content := buffer[:min(ChunkSize, e.Size-from)]
			if err := readAt(open, content, from); err != nil {
				return fmt.Errorf("read %q: %w", e.Path, err)
			}
			d := digestOf(content)
			e.Chunks[i] = d
			var err error
			if i >= len(known) || known[i] != d {
				err = u.put(d, content)
			}
			left.Add(-1)
			return err
		})
	}
	return u.enqueue(queued{entry: e, old: old, left: left})
}

// readAt fills content.
func readAt(open opener, content []byte, from int64) error {
	r, closer, err := open()
	if err != nil {
		return err
	}
	defer closer.Close() // it was only read
	n, err := r.ReadAt(content, from)
	switch {
	case n == len(content):
		return nil
	case errors.Is(err, io.EOF):
		return errChanged
	}
	return err
}

// errChanged says that a file is written to while it is read; storing half of each would be worse than failing.
var errChanged = errors.New("it changed while it was read")
