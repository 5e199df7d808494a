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

// Snapshot stores the current content of dir. staged is what was restored there, or nil. A file that did not change
// keeps the step that wrote it, and one whose stamp did not change is not even read. Paths that writes does not select are stored as they
// were before, whatever is in dir. Sockets and named pipes are skipped. No process may write to dir meanwhile.
//
// The memory that it needs does not grow with the number of files, except for the names in one directory.
func (s *Store) Snapshot(ctx context.Context, dir string, staged *Staged, writes Patterns, by string) (Stored, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Stored{}, fmt.Errorf("store the files of %s: %w", dir, err)
	}
	defer root.Close() // nothing was written
	stored, _, err := s.putEntries(ctx, func(ctx context.Context, add func(*Entry) error) error {
		return s.runUpload(ctx, func(u *upload) error {
			u.ready = add
			before, err := s.readBefore(ctx, staged)
			if err != nil {
				return err
			}
			shot := &snapshot{upload: u, root: root, dir: dir, before: before, writes: writes, by: by}
			return shot.readRoot()
		})
	})
	if err != nil {
		return Stored{}, fmt.Errorf("store the files of %s: %w", dir, err)
	}
	return stored, nil
}

func (s *snapshot) readRoot() error {
	directory, err := s.root.Open(".")
	if err != nil {
		return err
	}
	defer directory.Close() // nothing was written
	if err := s.walkDirectory(directory, ""); err != nil {
		return err
	}
	return s.before.visitRest(s.keepMissing)
}

// walkDirectory visits the entries of a directory through its descriptor, so that no path is resolved twice.
func (s *snapshot) walkDirectory(directory *os.File, at string) error {
	found, err := listDirectory(directory)
	if err != nil {
		return fmt.Errorf("read directory %q: %w", at, err)
	}
	for _, n := range found.all {
		name := string(found.nameOf(n))
		full := at + name
		if !n.enter {
			if err := s.visitEntry(directory, name, full, n.kind); err != nil {
				return err
			}
			continue
		}
		inside, err := openDirectory(directory, name)
		if err != nil {
			return fmt.Errorf("read directory %q: %w", full, explainUnreadable(err))
		}
		err = s.walkDirectory(inside, full+"/")
		_ = inside.Close() // nothing was written
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshot) visitEntry(directory *os.File, name, full string, kind uint8) error {
	old, err := s.before.advanceTo(full, s.keepMissing)
	switch {
	case err != nil:
		return err
	case kind == unix.DT_DIR:
		return s.addDirectory(directory, name, full, old)
	case !s.writes.Match(full):
		return s.keepMissing(old)
	case old.hidden: // the step did not see it, so this file is the step's own
		old = known{}
	}
	if kind == unix.DT_REG && old.Entry == nil { // true for most files of most steps
		f, ok, err := openSmall(directory, name)
		if err != nil {
			return fmt.Errorf("file %q: %w", full, explainUnreadable(err))
		}
		if ok {
			return s.upload.addSmallFile(s.recordEntry(&Entry{Path: full, Mode: f.mode, Size: f.size, By: s.by}), nil, f.readAndClose)
		}
	}
	stat, err := statEntry(directory, name)
	if err != nil {
		return fmt.Errorf("file %q: %w", full, err)
	}
	e := &Entry{Path: full, Mode: modeOf(stat) & modeBits, By: s.by}
	switch mode := modeOf(stat); {
	case mode&fs.ModeSymlink != 0:
		return s.addLink(e, old.Entry)
	case mode&(fs.ModeSocket|fs.ModeNamedPipe) != 0: // without the process that used it, it is worth nothing
		if skipped := s.upload.store.skipped; skipped != nil {
			skipped(full, describeSpecialFile(mode))
		}
		return nil
	case !mode.IsRegular():
		return &FileError{full, "is a device; only files, directories and symbolic links can be stored; remove it at the end of the step"}
	case old.Entry != nil && s.before.isUntouched(old, stampOf(stat)):
		return s.upload.addEntry(s.recordEntry(old.Entry))
	}
	if e.Size = stat.Size; e.Size > ChunkSize {
		info, err := s.root.Lstat(full)
		if err != nil {
			return err
		}
		return s.upload.addLarge(s.recordEntry(e), old.Entry, openUnchanged(info, func() (*os.File, error) { return s.root.Open(full) }))
	}
	if err := s.storeAgain(directory, name, e, old.Entry); err != nil {
		return fmt.Errorf("file %q: %w", full, err)
	}
	return nil
}

// recordEntry records an entry that is added.
func (s *snapshot) recordEntry(e *Entry) *Entry {
	s.order.addEntry(e)
	return e
}

// keepMissing keeps an entry that was there before and is not there now, unless the step has removed it or its directory is not a directory any
// more.
func (s *snapshot) keepMissing(old known) error {
	if old.Entry == nil || !old.hidden && s.writes.Match(old.Path) || s.order.findFileAbove(old.Path) != "" {
		return nil
	}
	return s.upload.addEntry(s.recordEntry(old.Entry))
}

// addDirectory keeps a directory. A new one that writes does not select is kept only if it contains something that writes selects. One that the
// step did not see, and therefore made, is new like a file that it did not see: what a step leaves must not depend on what it does not see.
func (s *snapshot) addDirectory(in *os.File, name, full string, old known) error {
	stat, err := statEntry(in, name)
	if err != nil {
		return fmt.Errorf("directory %q: %w", full, err)
	}
	e := &Entry{Path: full, Mode: modeOf(stat) & modeBits, By: s.by}
	chosen := s.writes.Match(full)
	if old.Entry != nil && old.Mode.IsDir() && !old.hidden {
		if !chosen || old.Mode == e.Mode {
			e = old.Entry
		}
		return s.upload.addEntry(s.recordEntry(e))
	}
	if !chosen {
		if chosen, err = s.hasSelected(in, name, full); err != nil {
			return err
		}
	}
	if !chosen {
		return s.keepMissing(old)
	}
	return s.upload.addEntry(s.recordEntry(e))
}

// hasSelected reports whether writes selects anything in a directory.
func (s *snapshot) hasSelected(in *os.File, name, full string) (bool, error) {
	directory, err := openDirectory(in, name)
	if err != nil {
		return false, fmt.Errorf("read directory %q: %w", full, explainUnreadable(err))
	}
	defer directory.Close() // nothing was written
	found, err := listDirectory(directory)
	if err != nil {
		return false, fmt.Errorf("read directory %q: %w", full, err)
	}
	for _, n := range found.all {
		inside := string(found.nameOf(n))
		if s.writes.Match(full + "/" + inside) {
			return true, nil
		}
		if !n.enter {
			continue
		}
		if chosen, err := s.hasSelected(directory, inside, full+"/"+inside); chosen || err != nil {
			return chosen, err
		}
	}
	return false, nil
}

func describeSpecialFile(mode fs.FileMode) string {
	if mode&fs.ModeNamedPipe != 0 {
		return "named pipe"
	}
	return "socket"
}

// addLink keeps a symbolic link. It makes an absolute one into the tree relative, because the tree may be restored elsewhere.
func (s *snapshot) addLink(e, old *Entry) error {
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
	if reason := checkLink(target); reason != "" {
		return &FileError{e.Path, "is a symbolic link that " + reason}
	}
	return s.upload.enqueueItem(queued{entry: s.recordEntry(e), old: old})
}

// explainUnreadable adds advice to the error about a file that may not be read.
func explainUnreadable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; make it readable by the user of the step", err)
	}
	return err
}

// storeAgain stores a small file that was changed or may have been. If it has the same content as before, it needs no additional memory.
func (s *snapshot) storeAgain(directory *os.File, name string, e, old *Entry) error {
	f, ok, err := openSmall(directory, name)
	if err != nil {
		return explainUnreadable(err)
	}
	if !ok || f.size != e.Size {
		if ok {
			f.close()
		}
		return errChanged
	}
	if old == nil || !old.IsFile() || old.Size != e.Size || e.Size == 0 {
		return s.upload.addSmallFile(s.recordEntry(e), old, f.readAndClose)
	}
	buffer, release := s.upload.store.acquireBuffer()
	defer release()
	content := buffer[:e.Size]
	if err := f.readAndClose(content); err != nil {
		return err
	}
	if old.SHA256 == digestOf(content) {
		e.SHA256, e.Chunks, e.Offset = old.SHA256, old.Chunks, old.Offset
		return s.upload.enqueueItem(queued{entry: s.recordEntry(e), old: old})
	}
	return s.upload.addSmall(s.recordEntry(e), content)
}
