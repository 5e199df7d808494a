package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Files of several chunks, and chunks of several files, are written while the manifest is read. These limits bound how many are pending.
const (
	mostFetches = 6    // pending chunks
	mostPieces  = 8192 // pieces in pending chunks
)

// fetch is a chunk and the files that its parts belong to.
type fetch struct {
	digest Digest
	pieces []piece
}

// piece is the part of a file that is in one chunk.
type piece struct {
	entry    *Entry
	index    int           // index of the entry in the layer
	in, size int64         // position in the chunk
	at       int64         // position in the file
	left     *atomic.Int32 // number of pieces of the file that are not written; nil if it has only one
}

// above is a directory that may contain the next entries.
type above struct {
	entry *Entry
	index int
	made  bool
}

// chmodBits are the bits that chmod sets.
const chmodBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// restoring is one run of Restore.
type restoring struct {
	store   *Store
	root    *os.Root
	reads   Patterns
	stamps  Stamps
	group   *errgroup.Group
	index   int // index of the current entry
	above   []above
	parent  string   // the last directory that was created although it has no entry
	closed  []*Entry // directories whose mode is set last, as it would deny access or change the owner of their content
	fetches []*fetch // the least recently extended one is first
	pieces  int      // pieces in pending chunks
	empty   openedDirectory
	setgid  bool         // new directories inherit the bit from the root, as on a volume with fsGroup
	large   atomic.Int64 // when the last large file was completed, in nanoseconds
}

// Restore writes the staged files into dir, which must exist. It writes nothing outside dir, whatever the tree contains. The memory that it
// needs does not grow with the number of files.
func (s *Store) Restore(ctx context.Context, staged *Staged, dir string) error {
	from, err := s.openEntries(ctx, staged.Layer)
	if err != nil {
		return fmt.Errorf("restore into %s: %w", dir, err)
	}
	return s.restoreTree(ctx, from, staged, dir)
}

func (s *Store) restoreTree(ctx context.Context, from entries, staged *Staged, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("restore into %s: %w", dir, err)
	}
	defer root.Close() // nothing was written through the root itself
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(s.workerCount())
	info, err := root.Stat(".")
	if err != nil {
		return fmt.Errorf("restore into %s: %w", dir, err)
	}
	r := &restoring{store: s, root: root, reads: staged.Reads, stamps: staged.Stamps, group: group, setgid: info.Mode()&fs.ModeSetgid != 0}
	defer r.empty.close()
	err = r.restoreAll(each, from)
	// The first failed chunk ends the context; other errors are then only its consequence.
	if failed := group.Wait(); failed != nil && (err == nil || each.Err() != nil) {
		err = failed
	}
	if err == nil {
		err = r.applyModes()
	}
	if err != nil {
		return fmt.Errorf("restore into %s: %w", dir, err)
	}
	staged.Trusted, err = r.settleStamps(ctx)
	return err
}

// settleStamps returns which stamps can be trusted. After a large file it waits until its stamp can be. In memory it is none, because writing to a page that is
// already mapped does not change the ctime of a file there.
func (r *restoring) settleStamps(ctx context.Context) (trusted int64, err error) {
	var system unix.Statfs_t
	_, err = retryInterrupted(func() (int, error) { return 0, unix.Statfs(r.root.Name(), &system) })
	if err != nil || system.Type == unix.TMPFS_MAGIC {
		return 0, nil //nolint:nilerr // all files are read again
	}
	if rest := clockTick - time.Since(time.Unix(0, r.large.Load())); rest > 0 {
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return time.Now().Add(-clockTick).UnixNano(), nil
}

func (r *restoring) restoreAll(ctx context.Context, from entries) error {
	for ; ctx.Err() == nil; r.index++ {
		e, err := from.next()
		if errors.Is(err, errEnd) {
			break
		}
		if err != nil {
			return err
		}
		if err := r.restoreEntry(ctx, e); err != nil {
			return err
		}
	}
	for len(r.fetches) > 0 && ctx.Err() == nil {
		r.fetchFirst(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (r *restoring) restoreEntry(ctx context.Context, e *Entry) error {
	for len(r.above) > 0 && !strings.HasPrefix(e.Path, r.above[len(r.above)-1].entry.Path) {
		r.above = r.above[:len(r.above)-1]
	}
	chosen := r.reads.Match(e.Path)
	if e.Mode.IsDir() {
		r.above = append(r.above, above{entry: e, index: r.index})
	}
	if !chosen {
		return nil
	}
	if err := r.createParents(e.Path); err != nil {
		return err
	}
	switch {
	case e.Mode.IsDir():
		return r.createDirectory(&r.above[len(r.above)-1])
	case e.Mode&fs.ModeSymlink != 0:
		if reason := checkLink(e.Link); reason != "" {
			return fmt.Errorf("symbolic link %q %s", e.Path, reason)
		}
		return errors.Join(r.root.Symlink(e.Link, e.Path), r.recordOther(r.index))
	case e.Size == 0:
		s, err := r.createFile(&r.empty, e, nil)
		if err != nil {
			return err
		}
		return r.writeStamps(r.index, s.appendTo(nil))
	}
	r.planFile(ctx, e)
	return nil
}

// createParents creates the directories that contain a path.
func (r *restoring) createParents(name string) error {
	parent := path.Dir(name)
	if parent == "." || parent == r.parent {
		return nil
	}
	known := false
	for i := range r.above {
		a := &r.above[i]
		if !strings.HasPrefix(name[len(a.entry.Path):], "/") {
			continue
		}
		known = known || a.entry.Path == parent
		if err := r.createDirectory(a); err != nil {
			return err
		}
	}
	if known {
		return nil
	}
	r.parent = parent
	return r.root.MkdirAll(parent, 0o755)
}

func (r *restoring) createDirectory(a *above) error {
	if a.made {
		return nil
	}
	a.made = true
	e := a.entry
	if err := r.root.MkdirAll(e.Path, 0o755); err != nil {
		return err
	}
	switch mode := e.Mode & chmodBits; {
	case mode == 0o755 && !r.setgid:
	case mode&0o700 == 0o700 && mode&^fs.ModePerm == 0:
		if err := r.root.Chmod(e.Path, mode); err != nil {
			return err
		}
	default:
		r.closed = append(r.closed, e)
	}
	return r.recordOther(a.index)
}

// applyModes sets the modes of the directories that had to stay accessible, the innermost first.
func (r *restoring) applyModes() error {
	for _, e := range slices.Backward(r.closed) {
		if err := r.root.Chmod(e.Path, e.Mode&chmodBits); err != nil {
			return err
		}
	}
	return nil
}

// recordOther records that an entry that is not a file was restored.
func (r *restoring) recordOther(index int) error {
	return r.writeStamps(index, stamp{inode: 1}.appendTo(nil))
}

// writeStamps stores the stamps of consecutive entries.
func (r *restoring) writeStamps(first int, stamps []byte) error {
	if r.stamps == nil || len(stamps) == 0 {
		return nil
	}
	if _, err := r.stamps.WriteAt(stamps, int64(first)*stampSize); err != nil {
		return fmt.Errorf("store the stamps of the files: %w", err)
	}
	return nil
}

// planFile adds the pieces of a file to those of their chunks.
func (r *restoring) planFile(ctx context.Context, e *Entry) {
	p := piece{entry: e, index: r.index, in: e.Offset}
	if len(e.Chunks) > 1 {
		p.left = new(atomic.Int32)
		p.left.Store(int32(len(e.Chunks))) //nolint:gosec // no memory holds 2^31 digests
	}
	for _, d := range e.Chunks {
		p.size = min(e.Size-p.at, ChunkSize-p.in)
		r.addPiece(ctx, d, p)
		p.in, p.at = 0, p.at+p.size
	}
}

func (r *restoring) addPiece(ctx context.Context, d Digest, p piece) {
	last := len(r.fetches) - 1
	at := last
	for at >= 0 && r.fetches[at].digest != d {
		at--
	}
	if at < 0 {
		r.fetches = append(r.fetches, &fetch{digest: d})
	} else if at != last {
		f := r.fetches[at]
		r.fetches = append(slices.Delete(r.fetches, at, at+1), f)
	}
	f := r.fetches[len(r.fetches)-1]
	f.pieces = append(f.pieces, p)
	r.pieces++
	for len(r.fetches) > mostFetches || r.pieces > mostPieces {
		r.fetchFirst(ctx)
	}
}

// fetchFirst fetches the least recently extended chunk and writes its pieces. If more of it is needed later, it is fetched again.
func (r *restoring) fetchFirst(ctx context.Context) {
	f := r.fetches[0]
	r.fetches = slices.Delete(r.fetches, 0, 1)
	r.pieces -= len(f.pieces)
	r.group.Go(func() error {
		buffer, release := r.store.acquireBuffer()
		defer release()
		content, err := r.store.getChunk(ctx, f.digest, buffer)
		if err != nil {
			return fmt.Errorf("%q: %w", f.pieces[0].entry.Path, err)
		}
		return r.writePieces(f.pieces, content)
	})
}

// writePieces writes the pieces that are in a chunk, and stores the stamps of the files that are then complete.
func (r *restoring) writePieces(pieces []piece, content []byte) error {
	var in openedDirectory
	defer in.close()
	var stamps []byte
	first := 0
	for _, p := range pieces {
		s, err := r.writePiece(&in, p, content)
		if err != nil {
			return fmt.Errorf("%q: %w", p.entry.Path, err)
		}
		if s == (stamp{}) {
			continue
		}
		if first+len(stamps)/stampSize != p.index {
			if err := r.writeStamps(first, stamps); err != nil {
				return err
			}
			first, stamps = p.index, stamps[:0]
		}
		stamps = s.appendTo(stamps)
	}
	return r.writeStamps(first, stamps)
}

// writePiece writes one piece. The stamp is zero if the file is not complete yet.
func (r *restoring) writePiece(in *openedDirectory, p piece, content []byte) (s stamp, err error) {
	part, err := slicePiece(content, p.in, p.size)
	if err != nil {
		return stamp{}, fmt.Errorf("its chunk %w", err)
	}
	if p.left == nil {
		return r.createFile(in, p.entry, part)
	}
	f, err := r.root.OpenFile(p.entry.Path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return stamp{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(part, p.at); err != nil {
		return stamp{}, err
	}
	if p.left.Add(-1) > 0 {
		return stamp{}, nil
	}
	if err := f.Chmod(p.entry.Mode & chmodBits); err != nil {
		return stamp{}, err
	}
	if p.entry.Size > readAgain {
		r.large.Store(time.Now().UnixNano())
	}
	return statFile(f)
}

// createFile writes a file that has one piece.
func (r *restoring) createFile(in *openedDirectory, e *Entry, content []byte) (stamp, error) {
	if err := in.openChild(r.root, path.Dir(e.Path)); err != nil {
		return stamp{}, err
	}
	return createSmall(in.dir, path.Base(e.Path), e.Mode&chmodBits, content)
}

// openedDirectory is the directory that the last file was written into: the files of a pack are neighbours.
type openedDirectory struct {
	name string
	dir  *os.File
}

func (f *openedDirectory) openChild(root *os.Root, name string) (err error) {
	if f.dir != nil && f.name == name {
		return nil
	}
	f.close()
	f.name = name
	f.dir, err = root.Open(name)
	return err
}

func (f *openedDirectory) close() {
	if f.dir != nil {
		_ = f.dir.Close() // nothing was written
		f.dir = nil
	}
}
