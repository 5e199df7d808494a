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

// upload sends chunks concurrently. It is used only inside [Store.runUpload].
type upload struct {
	store *Store
	group *errgroup.Group
	ctx   context.Context //nolint:containedctx // it is the group's and ends with it
	fresh atomic.Bool     // the last chunk did not exist, so the next ones probably do not either
	pack  stream          // the small files
	batch []smallToRead
	bytes int                // of the batch
	ready func(*Entry) error // called for each entry when all of it is stored, in the order in which they were added; may be nil
	queue []queued
	// note is called instead of storing a chunk, to find out what an upload would store; usually nil.
	note func(d Digest, size int)
}

// queued is an entry that is not stored yet, or follows one that is not.
type queued struct {
	entry  *Entry
	old    *Entry        // the entry that was at its path before, which is kept if it is the same; may be nil
	packed bool          // it is a small file, whose chunks are known only when its packs are
	pack   int           // the first of its packs
	left   *atomic.Int32 // of a large file: the number of chunks that are not stored
}

// smallToRead is a small file whose room is reserved and that is not read yet.
type smallToRead struct {
	entry *Entry
	room  room
	read  func(into ...[]byte) error
}

// One goroutine reads several small files, because starting a goroutine takes as long as reading one.
const (
	batchFiles = 32
	batchBytes = 128 << 10
)

// runUpload runs add, sends the rest, waits, and completes the entries that were added.
func (s *Store) runUpload(ctx context.Context, add func(*upload) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.workerCount())
	u := &upload{store: s, group: group, ctx: ctx}
	u.pack.upload = u
	err := add(u)
	u.readBatch() // also after an error: it closes the files
	if err == nil {
		u.pack.releaseChunk()
	}
	// The first failed chunk ends the context; an error of add is then only its consequence.
	if failed := group.Wait(); failed != nil && (err == nil || ctx.Err() != nil) {
		return failed
	}
	if err != nil {
		return err
	}
	return u.reportStored()
}

// putChunk stores a chunk. It asks whether a chunk exists only as long as the last one did: a new tree costs one request, and a repeated one no
// upload.
func (u *upload) putChunk(d Digest, content []byte) error {
	if u.note != nil {
		u.note(d, len(content))
		return nil
	}
	if !u.fresh.Load() {
		found, err := u.store.extendChunk(u.ctx, d)
		if err != nil {
			return err
		}
		if found {
			u.store.sent.addChunk(d) // a fail-over may still lose it: its writer may have got the answer a moment ago
			return nil
		}
		u.fresh.Store(!found)
	}
	return u.store.putChunk(u.ctx, d, content)
}

// addEntry queues an entry whose content, if any, is stored.
func (u *upload) addEntry(e *Entry) error { return u.enqueueItem(queued{entry: e}) }

func (u *upload) enqueueItem(q queued) error {
	u.queue = append(u.queue, q)
	if err := u.reportStored(); err != nil {
		return err
	}
	return u.stopReason()
}

// reportStored calls ready for the entries that are stored.
func (u *upload) reportStored() error {
	done := 0
	for _, q := range u.queue {
		if !u.isStored(q) {
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
		u.queue = nil // slicing alone would keep all entries in memory
	}
	return nil
}

// isStored reports whether all of an entry is stored, and then sets its chunks.
func (u *upload) isStored(q queued) bool {
	e := q.entry
	switch {
	case q.left != nil:
		return q.left.Load() == 0
	case !q.packed:
		return true
	}
	n := chunksOf(e.Offset, e.Size)
	if !u.pack.isStored(q.pack, n) {
		return false
	}
	e.Chunks = u.pack.listDigests(q.pack, n)
	return true
}

// addSmall packs the content of a file of at most a chunk. The entry's chunks are set when the upload ends.
func (u *upload) addSmall(e *Entry, content []byte) error {
	e.Size = int64(len(content))
	e.SHA256 = sha256.Sum256(content)
	if len(content) == 0 {
		return u.addEntry(e)
	}
	room := u.reserveRoom(e)
	room.fillWith(content)
	u.pack.markFilled(room)
	return u.enqueueItem(queued{entry: e, packed: true, pack: room.chunk})
}

// addSmallFile packs a file of at most a chunk, which is read in the background directly into its place in the pack. read is called once;
// it fills the slices and closes the file. The entry's digest and chunks are set when the upload ends.
func (u *upload) addSmallFile(e, old *Entry, read func(into ...[]byte) error) error {
	if e.Size == 0 {
		e.SHA256 = sha256.Sum256(nil)
		return errors.Join(read(), u.enqueueItem(queued{entry: e, old: old}))
	}
	room := u.reserveRoom(e)
	u.batch = append(u.batch, smallToRead{e, room, read})
	if u.bytes += int(e.Size); len(u.batch) >= batchFiles || u.bytes >= batchBytes {
		u.readBatch()
	}
	return u.enqueueItem(queued{entry: e, old: old, packed: true, pack: room.chunk})
}

// readBatch reads the small files whose room is reserved.
func (u *upload) readBatch() {
	batch := u.batch
	u.batch, u.bytes = nil, 0
	if len(batch) == 0 {
		return
	}
	u.group.Go(func() (err error) {
		for _, f := range batch {
			if err != nil || u.ctx.Err() != nil {
				_ = f.read() // only closes the file
				continue
			}
			if err = f.read(f.room.first, f.room.second); err != nil {
				err = fmt.Errorf("read %q: %w", f.entry.Path, err)
			}
		}
		if err != nil || u.ctx.Err() != nil {
			return err
		}
		return u.finishBatch(batch)
	})
}

// finishBatch sets the digests of small files that were read, and lets their packs be sent.
func (u *upload) finishBatch(batch []smallToRead) error {
	for _, f := range batch {
		f.entry.SHA256 = f.room.contentDigest()
		if err := u.pack.markFilledInBackground(f.room); err != nil {
			return err
		}
	}
	return nil
}

// reserveRoom reserves the place of an entry in the packs.
func (u *upload) reserveRoom(e *Entry) room {
	room := u.pack.reserveRoom(int(e.Size))
	e.Offset = room.offset
	return room
}

// stopReason returns why the upload cannot continue, nil while it can.
func (u *upload) stopReason() error {
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	return nil
}

// opener opens the same file repeatedly: a descriptor for each chunk costs microseconds and needs no bookkeeping.
type opener func() (io.ReaderAt, io.Closer, error)

// addLarge sends a file of more than one chunk. Chunks that old has at the same position are not sent again. The entry's chunks are set
// when the upload ends.
func (u *upload) addLarge(e, old *Entry, open opener) error {
	var known []Digest
	if old != nil && old.Size > ChunkSize {
		known = old.Chunks
	}
	e.Chunks = make([]Digest, chunksOf(0, e.Size))
	left := new(atomic.Int32)
	left.Store(int32(len(e.Chunks))) //nolint:gosec // no memory holds 2^31 digests
	for i := range e.Chunks {
		if err := u.stopReason(); err != nil {
			return err
		}
		u.group.Go(func() error {
			buffer, release := u.store.acquireBuffer()
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
				err = u.putChunk(d, content)
			}
			left.Add(-1)
			return err
		})
	}
	return u.enqueueItem(queued{entry: e, old: old, left: left})
}

// readAt reads as many bytes as content has.
func readAt(open opener, content []byte, from int64) error {
	r, closer, err := open()
	if err != nil {
		return err
	}
	defer closer.Close() // nothing was written
	n, err := r.ReadAt(content, from)
	switch {
	case n == len(content):
		return nil
	case errors.Is(err, io.EOF):
		return errChanged
	}
	return err
}

// errChanged means that a file was written to while it was read; storing half of each version would be worse than failing.
var errChanged = errors.New("it changed while it was read")
