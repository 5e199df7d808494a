package files

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Staged is what a step begins with, together with what the file system said of it when it was restored.
// [Store.Snapshot] compares against it.
type Staged struct {
	seen   Tree    // what was restored
	hidden Tree    // what was not, and goes on to the next step as it is
	stamps []Stamp // one for each entry of seen; none where nothing is known
}

// NewStaged puts together what another process restored: reads are the patterns that chose it, stamps what [Store.Restore] returned.
func NewStaged(t Tree, reads Patterns, stamps []Stamp) *Staged {
	seen, hidden := t.split(reads)
	if len(stamps) != seen.Len() {
		stamps = nil // every file is read again
	}
	return &Staged{seen, hidden, stamps}
}

// untouched tells whether the file of an entry is as it was restored.
func (s *Staged) untouched(at int, info fs.FileInfo) bool {
	return s.stamps != nil && s.stamps[at].CTime != 0 && s.stamps[at] == stampOf(info)
}

// Stamp tells whether a file was touched: no program can set a file's ctime back.
type Stamp struct {
	Inode uint64 `json:"i,omitempty"`
	CTime int64  `json:"c,omitempty"` // nanoseconds; 0: not to be trusted
}

// clockTick is more than the coarsest clock a file system takes ctime from (100 Hz). A file that is written to within the
// tick of its stamp may keep its ctime, so the stamps of the last tick are not trusted and these files are read again.
const clockTick = 20 * time.Millisecond

// piece is the part of a file that lies in one chunk.
type piece struct {
	entry    int32
	in, size int32 // where in the chunk
	at       int64 // where in the file
}

// chmodBits are what chmod sets.
const chmodBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// restoring is one run of Restore.
type restoring struct {
	store  *Store
	root   *os.Root
	tree   Tree
	stamps []Stamp
}

// Restore writes what reads choose of a tree into dir, which exists. Nothing is written outside dir, whatever the tree says.
// The stamps are for [NewStaged].
func (s *Store) Restore(ctx context.Context, t Tree, reads Patterns, dir string) ([]Stamp, error) {
	t, _ = t.split(reads)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("restore into %s: %w", dir, err)
	}
	defer root.Close() // nothing is written through the root itself
	r := &restoring{store: s, root: root, tree: t, stamps: make([]Stamp, t.Len())}
	for _, stage := range []func(context.Context) error{r.folders, r.files, r.links, r.modes} {
		if err := stage(ctx); err != nil {
			return nil, fmt.Errorf("restore into %s: %w", dir, err)
		}
	}
	return r.stamps, r.settle(ctx)
}

// readAgain is how many bytes a snapshot reads again in the time of a clock tick.
const readAgain = 16 << 20

// settle makes the stamps trustworthy: it waits for the tick to pass where much was written last, and forgets the stamps where it was little.
func (r *restoring) settle(ctx context.Context) error {
	recent := func() (size int64) {
		last := time.Now().Add(-clockTick).UnixNano()
		for i, e := range r.tree.entries {
			if r.stamps[i].CTime >= last {
				size += e.Size
			}
		}
		return size
	}
	if recent() > readAgain {
		select {
		case <-time.After(clockTick):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	last := time.Now().Add(-clockTick).UnixNano()
	for i := range r.stamps {
		if r.stamps[i].CTime >= last {
			r.stamps[i] = Stamp{}
		}
	}
	return nil
}

// folders makes all folders, open to us; modes gives them their own mode when everything is in them.
func (r *restoring) folders(context.Context) error {
	made := "."
	for _, e := range r.tree.entries {
		folder := e.Path
		if !e.Mode.IsDir() {
			folder = path.Dir(e.Path)
		}
		if folder == made || folder == "." {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(folder)) {
			return fmt.Errorf("path %q leads outside", e.Path)
		}
		if err := r.root.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		made = folder
	}
	return nil
}

// files fetches each chunk once and writes the pieces of files that are in it.
func (r *restoring) files(ctx context.Context) error {
	order, pieces := r.plan()
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(r.store.workers())
	for _, d := range order {
		if each.Err() != nil {
			break
		}
		group.Go(func() error {
			buffer, release := r.store.buffer()
			defer release()
			content, err := r.store.getChunk(each, d, buffer)
			if err != nil {
				return fmt.Errorf("%q: %w", r.tree.entries[pieces[d][0].entry].Path, err)
			}
			var in folder
			defer in.close()
			for _, p := range pieces[d] {
				if err := r.write(&in, p, content); err != nil {
					return fmt.Errorf("%q: %w", r.tree.entries[p.entry].Path, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var in folder
	defer in.close()
	for i, e := range r.tree.entries {
		if e.IsFile() && e.Size == 0 {
			if err := r.write(&in, piece{entry: int32(i)}, nil); err != nil { // no memory holds 2^31 entries
				return fmt.Errorf("%q: %w", e.Path, err)
			}
		}
	}
	return nil
}

// plan lists the chunks in the order of the files and what each is needed for.
func (r *restoring) plan() ([]Digest, map[Digest][]piece) {
	var order []Digest
	pieces := map[Digest][]piece{}
	for i, e := range r.tree.entries {
		in, at := e.Offset, int64(0)
		for _, d := range e.Chunks {
			size := min(e.Size-at, ChunkSize-in)
			if pieces[d] == nil {
				order = append(order, d)
			}
			pieces[d] = append(pieces[d], piece{int32(i), int32(in), int32(size), at}) //nolint:gosec // no memory holds 2^31 entries, and no chunk is as large
			in, at = 0, at+size
		}
	}
	return order, pieces
}

// folder is the one that the last file was written into: the files of a pack are neighbours.
type folder struct {
	name string
	dir  *os.File
}

func (f *folder) enter(root *os.Root, name string) (err error) {
	if f.dir != nil && f.name == name {
		return nil
	}
	f.close()
	f.name = name
	f.dir, err = root.Open(name)
	return err
}

func (f *folder) close() {
	if f.dir != nil {
		_ = f.dir.Close() // it was only looked into
		f.dir = nil
	}
}

// write writes one piece. A file of one piece is finished at once.
func (r *restoring) write(in *folder, p piece, content []byte) (err error) {
	e := r.tree.entries[p.entry]
	part, err := cut(content, int64(p.in), int64(p.size))
	if err != nil {
		return fmt.Errorf("its chunk %w", err)
	}
	if len(e.Chunks) < 2 {
		if err := in.enter(r.root, path.Dir(e.Path)); err != nil {
			return err
		}
		stamp, ok, err := createSmall(in.dir, path.Base(e.Path), e.Mode&chmodBits, part)
		if ok || err != nil {
			r.stamps[p.entry] = stamp
			return err
		}
	}
	f, err := r.root.OpenFile(e.Path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	if _, err := f.WriteAt(part, p.at); err != nil {
		return err
	}
	if len(e.Chunks) > 1 {
		return nil // modes finishes it
	}
	if err := f.Chmod(e.Mode & chmodBits); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r.stamps[p.entry] = stampOf(info)
	return nil
}

// links come last: no file is ever written through one.
func (r *restoring) links(context.Context) error {
	for _, e := range r.tree.entries {
		if e.Mode&fs.ModeSymlink == 0 {
			continue
		}
		if reason := checkLink(e.Path, e.Link); reason != "" {
			return fmt.Errorf("symbolic link %q %s", e.Path, reason)
		}
		if err := r.root.Symlink(e.Link, e.Path); err != nil {
			return err
		}
	}
	return nil
}

// modes finishes the files of several pieces and then the folders, the innermost first: one may not let us in afterwards.
func (r *restoring) modes(context.Context) error {
	for i, e := range slices.Backward(r.tree.entries) {
		if !e.Mode.IsDir() && len(e.Chunks) < 2 || e.Mode == fs.ModeDir|0o755 {
			continue
		}
		if err := r.root.Chmod(e.Path, e.Mode&chmodBits); err != nil {
			return err
		}
		if e.IsFile() {
			info, err := r.root.Lstat(e.Path)
			if err != nil {
				return err
			}
			r.stamps[i] = stampOf(info)
		}
	}
	return nil
}
