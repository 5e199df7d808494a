package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// snapshot is one run of Snapshot.
type snapshot struct {
	upload *upload
	root   *os.Root
	dir    string
	before *before
	writes Patterns
	by     string
	order  order // of the entries that were added to the upload
}

// Snapshot stores the current content of dir and returns its layer. staged is what was restored there, or nil. A file that did not change
// keeps the step that wrote it, and one whose stamp did not change is not even read. Paths that writes does not select are stored as they
// were before, whatever is in dir. No process may write to dir meanwhile.
//
// The memory that it needs does not grow with the number of files, except for the names in one directory.
func (s *Store) Snapshot(ctx context.Context, dir string, staged *Staged, writes Patterns, by string) (Layer, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("store the files of %s: %w", dir, err)
	}
	defer root.Close() // nothing was written
	layer, _, err := s.putEntries(ctx, func(ctx context.Context, add func(*Entry) error) error {
		return s.upload(ctx, func(u *upload) error {
			u.ready = add
			before, err := s.before(ctx, staged)
			if err != nil {
				return err
			}
			shot := &snapshot{upload: u, root: root, dir: dir, before: before, writes: writes, by: by}
			return shot.all()
		})
	})
	if err != nil {
		return "", fmt.Errorf("store the files of %s: %w", dir, err)
	}
	return layer, nil
}

func (s *snapshot) all() error {
	folder, err := s.root.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close() // nothing was written
	if err := s.walk(folder, ""); err != nil {
		return err
	}
	return s.before.rest(s.missing)
}

// walk visits the entries of a directory through its descriptor, so that no path is resolved twice.
func (s *snapshot) walk(folder *os.File, at string) error {
	found, err := list(folder)
	if err != nil {
		return fmt.Errorf("read directory %q: %w", at, err)
	}
	for _, n := range found.all {
		name := string(found.name(n))
		full := at + name
		if !n.enter {
			if err := s.visit(folder, name, full, n.kind); err != nil {
				return err
			}
			continue
		}
		inside, err := openFolder(folder, name)
		if err != nil {
			return fmt.Errorf("read directory %q: %w", full, unreadable(err))
		}
		err = s.walk(inside, full+"/")
		_ = inside.Close() // nothing was written
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshot) visit(folder *os.File, name, full string, kind uint8) error {
	old, err := s.before.upTo(full, s.missing)
	switch {
	case err != nil:
		return err
	case kind == unix.DT_DIR:
		return s.folder(folder, name, full, old)
	case !s.writes.Match(full):
		return s.missing(old)
	case old.hidden: // the step did not see it, so this file is the step's own
		old = known{}
	}
	if kind == unix.DT_REG && old.Entry == nil { // true for most files of most steps
		f, ok, err := openSmall(folder, name)
		if err != nil {
			return fmt.Errorf("file %q: %w", full, unreadable(err))
		}
		if ok {
			return s.upload.addSmallFile(s.put(&Entry{Path: full, Mode: f.mode, Size: f.size, By: s.by}), nil, f.read)
		}
	}
	stat, err := status(folder, name)
	if err != nil {
		return fmt.Errorf("file %q: %w", full, err)
	}
	e := &Entry{Path: full, Mode: modeOf(stat) & modeBits, By: s.by}
	switch mode := modeOf(stat); {
	case mode&fs.ModeSymlink != 0:
		return s.link(e, old.Entry)
	case !mode.IsRegular():
		return &FileError{full, fmt.Sprintf("is a %s; only files, directories and symbolic links can be stored; remove it at the end of the step", special(mode))}
	case old.Entry != nil && s.before.untouched(old, stampOf(stat)):
		return s.upload.add(s.put(old.Entry))
	}
	if e.Size = stat.Size; e.Size > ChunkSize {
		info, err := s.root.Lstat(full)
		if err != nil {
			return err
		}
		return s.upload.addLarge(s.put(e), old.Entry, unchanged(info, func() (*os.File, error) { return s.root.Open(full) }))
	}
	if err := s.again(folder, name, e, old.Entry); err != nil {
		return fmt.Errorf("file %q: %w", full, err)
	}
	return nil
}

// put records an entry that is added.
func (s *snapshot) put(e *Entry) *Entry {
	s.order.put(e)
	return e
}

// missing keeps an entry that was there before and is not there now, unless the step has removed it or its directory is not a directory any
// more.
func (s *snapshot) missing(old known) error {
	if old.Entry == nil || !old.hidden && s.writes.Match(old.Path) || s.order.blocks(old.Path) != "" {
		return nil
	}
	return s.upload.add(s.put(old.Entry))
}

// folder keeps a directory. A new one that writes does not select is kept only if it contains something that writes selects.
func (s *snapshot) folder(in *os.File, name, full string, old known) error {
	stat, err := status(in, name)
	if err != nil {
		return fmt.Errorf("folder %q: %w", full, err)
	}
	e := &Entry{Path: full, Mode: modeOf(stat) & modeBits, By: s.by}
	chosen := s.writes.Match(full)
	if old.Entry != nil && old.Mode.IsDir() {
		if old.hidden || !chosen || old.Mode == e.Mode {
			e = old.Entry
		}
		return s.upload.add(s.put(e))
	}
	if !chosen {
		if chosen, err = s.chosenIn(in, name, full); err != nil {
			return err
		}
	}
	if !chosen {
		return s.missing(old)
	}
	return s.upload.add(s.put(e))
}

// chosenIn reports whether writes selects anything in a directory.
func (s *snapshot) chosenIn(in *os.File, name, full string) (bool, error) {
	folder, err := openFolder(in, name)
	if err != nil {
		return false, fmt.Errorf("read directory %q: %w", full, unreadable(err))
	}
	defer folder.Close() // nothing was written
	found, err := list(folder)
	if err != nil {
		return false, fmt.Errorf("read directory %q: %w", full, err)
	}
	for _, n := range found.all {
		inside := string(found.name(n))
		if s.writes.Match(full + "/" + inside) {
			return true, nil
		}
		if !n.enter {
			continue
		}
		if chosen, err := s.chosenIn(folder, inside, full+"/"+inside); chosen || err != nil {
			return chosen, err
		}
	}
	return false, nil
}

func special(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// link keeps a symbolic link inside the tree. It makes an absolute one into the tree relative, because the tree may be restored elsewhere.
func (s *snapshot) link(e, old *Entry) error {
	e.Mode = fs.ModeSymlink | fs.ModePerm
	target, err := s.root.Readlink(e.Path)
	if err != nil {
		return err
	}
	if inside, found := strings.CutPrefix(target, strings.TrimSuffix(s.dir, "/")+"/"); found {
		if target, err = filepath.Rel(path.Dir(e.Path), path.Clean(inside)); err != nil {
			return err
		}
	}
	e.Link = target
	if reason := checkLink(e.Path, target); reason != "" {
		return &FileError{e.Path, "is a symbolic link that " + reason}
	}
	return s.upload.enqueue(queued{entry: s.put(e), old: old})
}

// unreadable adds advice to the error about a file that may not be read.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; make it readable by the user of the step", err)
	}
	return err
}

// again stores a small file that was changed or may have been. If it has the same content as before, it needs no room of its own.
func (s *snapshot) again(folder *os.File, name string, e, old *Entry) error {
	f, ok, err := openSmall(folder, name)
	if err != nil {
		return unreadable(err)
	}
	if !ok || f.size != e.Size {
		if ok {
			f.close()
		}
		return errChanged
	}
	if old == nil || !old.IsFile() || old.Size != e.Size || e.Size == 0 {
		return s.upload.addSmallFile(s.put(e), old, f.read)
	}
	buffer, release := s.upload.store.buffer()
	defer release()
	content := buffer[:e.Size]
	if err := f.read(content); err != nil {
		return err
	}
	if old.SHA256 == digestOf(content) {
		e.SHA256, e.Chunks, e.Offset = old.SHA256, old.Chunks, old.Offset
		return s.upload.enqueue(queued{entry: s.put(e), old: old})
	}
	return s.upload.addSmall(s.put(e), content)
}
