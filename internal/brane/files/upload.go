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
	group.SetLimit(s.workers())
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
	room := u.room(e)
	room.fill(content)
	u.pack.filled(room)
	return u.ended()
}

// addSmallFile packs a file of at most a chunk, which is read in the background: straight into its pack, as its size says where it will lie.
// read fills what it is given. The entry gets its digest and its chunks when the upload ends.
func (u *upload) addSmallFile(e *Entry, read func(into ...[]byte) error) error {
	if e.Size == 0 {
		e.SHA256 = sha256.Sum256(nil)
		return read()
	}
	room := u.room(e)
	u.group.Go(func() error {
		if err := read(room.first, room.second); err != nil {
			return fmt.Errorf("read %q: %w", e.Path, err)
		}
		hash := sha256.New()
		hash.Write(room.first)
		hash.Write(room.second)
		hash.Sum(e.SHA256[:0])
		return u.pack.filledInBackground(room)
	})
	return u.ended()
}

// room gives an entry its place in the packs.
func (u *upload) room(e *Entry) room {
	room := u.pack.reserve(int(e.Size))
	e.Offset = room.offset
	u.small = append(u.small, packed{e, room.chunk})
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

// addLarge sends a file of its own chunks. known are the chunks an older version had: the same ones are not sent again.
// The entry's chunks are filled in when the upload ends.
func (u *upload) addLarge(e *Entry, known []Digest, open opener) error {
	e.Chunks = make([]Digest, chunksOf(0, e.Size))
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
