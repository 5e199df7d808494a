package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// snapshot is one run of Snapshot.
type snapshot struct {
	upload  *upload
	root    *os.Root
	dir     string
	before  *Staged
	writes  Patterns
	by      string
	entries []*Entry
}

// Snapshot stores what is in dir now and returns its layer. before is what was restored there, or nil. What did not change
// keeps the step that wrote it; what was not touched is not even read. What writes do not choose is stored as it was before,
// whatever is in dir. Nobody may write to dir meanwhile.
func (s *Store) Snapshot(ctx context.Context, dir string, before *Staged, writes Patterns, by string) (Layer, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("store the files of %s: %w", dir, err)
	}
	defer root.Close() // it was only read
	if before == nil {
		before = &Staged{}
	}
	shot := &snapshot{root: root, dir: dir, before: before, writes: writes, by: by}
	err = s.upload(ctx, s.deadline, func(u *upload) error {
		shot.upload = u
		return shot.walk(root, ".")
	})
	if err != nil {
		return "", fmt.Errorf("store the files of %s: %w", dir, err)
	}
	t, err := treeOf(shot.result())
	if err != nil {
		return "", fmt.Errorf("store the files of %s: %w", dir, err)
	}
	return s.PutTree(ctx, t)
}

// walk visits a folder in the order of its names, name after name from the folder itself, so that no path is looked up twice.
// fs.WalkDir would refuse names that are not UTF-8.
func (s *snapshot) walk(in *os.Root, folder string) error {
	here, err := in.Open(".")
	if err != nil {
		return err
	}
	defer here.Close() // it was only read
	found, err := list(here)
	if err != nil {
		return fmt.Errorf("read folder %q: %w", folder, err)
	}
	for _, d := range found {
		name := path.Join(folder, d.name)
		if err := s.visit(in, here, d, name); err != nil {
			return err
		}
		if !d.kind.IsDir() {
			continue
		}
		inside, err := in.OpenRoot(d.name)
		if err != nil {
			return err
		}
		err = s.walk(inside, name)
		_ = inside.Close() // it was only read
		if err != nil {
			return err
		}
	}
	return nil
}

// found is a name in a folder.
type found struct {
	name string
	kind fs.FileMode
}

// list reads a folder bit by bit: what the system tells of a name takes five times the memory of the name, and there may be 100,000.
func list(folder *os.File) (all []found, err error) {
	for {
		some, err := folder.ReadDir(256)
		for _, d := range some {
			all = append(all, found{d.Name(), d.Type()})
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func (s *snapshot) visit(in *os.Root, here *os.File, d found, name string) error {
	if !d.kind.IsDir() && !s.writes.Match(name) {
		return nil
	}
	at, known := s.before.seen.index(name)
	if !known && d.kind.IsRegular() { // most files of most steps
		f, ok, err := openSmall(here, d.name)
		if err != nil {
			return fmt.Errorf("file %q: %w", name, unreadable(err))
		}
		if ok {
			e := &Entry{Path: name, Mode: f.mode, Size: f.size, By: s.by}
			s.entries = append(s.entries, e)
			return s.upload.addSmallFile(e, f.read)
		}
	}
	info, err := in.Lstat(d.name)
	if err != nil {
		return err
	}
	e := &Entry{Path: name, Mode: info.Mode() & modeBits, By: s.by}
	s.entries = append(s.entries, e)
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil
	case mode&fs.ModeSymlink != 0:
		return s.link(e)
	case mode.IsRegular():
		var old *Entry
		if known {
			old = s.before.seen.entries[at]
			if s.before.untouched(at, info) {
				s.entries[len(s.entries)-1] = old
				return nil
			}
		}
		if err := s.file(e, in, info, old); err != nil {
			return fmt.Errorf("file %q: %w", name, err)
		}
		return nil
	}
	return &FileError{name, fmt.Sprintf("is a %s; only files, folders and symbolic links can be kept, so remove it at the end of the step", special(info.Mode()))}
}

func special(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// link keeps a link inside the tree. An absolute one into the tree becomes relative, as the tree may be restored elsewhere.
func (s *snapshot) link(e *Entry) error {
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
	return nil
}

// unreadable says what to do about a file that may not be read.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; make it readable for the user of the step", err)
	}
	return err
}

// file stores a file; old is what was at its path before, or nil.
func (s *snapshot) file(e *Entry, in *os.Root, info fs.FileInfo, old *Entry) error {
	if old == nil {
		old = &Entry{Mode: fs.ModeDir} // nothing that it could be the same as
	}
	e.Size = info.Size()
	if e.Size > ChunkSize {
		return s.upload.addLarge(e, old.Chunks, unchanged(info, func() (*os.File, error) { return s.root.Open(e.Path) }))
	}
	f, err := in.Open(info.Name())
	if err != nil {
		return unreadable(err)
	}
	if !old.IsFile() || old.Size != e.Size {
		return s.upload.addSmallFile(e, func(into ...[]byte) error { return readWhole(f, into...) })
	}
	buffer, release := s.upload.store.buffer()
	defer release()
	content := buffer[:e.Size]
	if err := readWhole(f, content); err != nil {
		return err
	}
	if old.SHA256 == digestOf(content) {
		e.SHA256, e.Chunks, e.Offset = old.SHA256, old.Chunks, old.Offset
		return nil
	}
	return s.upload.addSmall(e, content)
}

// readWhole reads a file that must be as long as what it is read into, and closes it.
func readWhole(f *os.File, into ...[]byte) error {
	defer f.Close() // it was only read
	for _, part := range into {
		if _, err := io.ReadFull(f, part); errors.Is(err, io.EOF) && len(part) > 0 || errors.Is(err, io.ErrUnexpectedEOF) {
			return errChanged
		} else if err != nil {
			return err
		}
	}
	return nil
}

// result gives what is as it was back to the step that wrote it, and adds what the step did not see or may not change.
func (s *snapshot) result() []*Entry {
	for i, e := range s.entries {
		at, found := s.before.seen.index(e.Path)
		if !found {
			continue
		}
		if old := s.before.seen.entries[at]; e.sameContent(*old) && e.Mode == old.Mode {
			s.entries[i] = old
		}
	}
	if len(s.writes) == 0 && s.before.hidden.Len() == 0 {
		return s.entries
	}
	now := make(map[string]*Entry, len(s.entries))
	for _, e := range s.entries {
		now[e.Path] = e
	}
	s.dropEmpty(now)
	for _, e := range s.before.hidden.entries {
		s.bringBack(now, e)
	}
	for _, e := range s.before.seen.entries {
		if !s.writes.Match(e.Path) {
			s.bringBack(now, e)
		}
	}
	return slices.Collect(maps.Values(now))
}

// bringBack adds an entry of before, unless something new is at its path or what was its folder is none any more.
func (s *snapshot) bringBack(now map[string]*Entry, e *Entry) {
	if there := now[e.Path]; there != nil && (!there.Mode.IsDir() || !e.Mode.IsDir()) {
		return
	}
	for parent := path.Dir(e.Path); parent != "."; parent = path.Dir(parent) {
		if above := now[parent]; above != nil && !above.Mode.IsDir() {
			return
		}
	}
	now[e.Path] = e
}

// dropEmpty removes new folders that writes do not choose and in which nothing is kept.
func (s *snapshot) dropEmpty(now map[string]*Entry) {
	if len(s.writes) == 0 {
		return
	}
	needed := map[string]bool{}
	for name, e := range now {
		if e.Mode.IsDir() && e.By == s.by && !s.writes.Match(name) {
			continue
		}
		for parent := path.Dir(name); parent != "." && !needed[parent]; parent = path.Dir(parent) {
			needed[parent] = true
		}
	}
	for name, e := range now {
		if e.Mode.IsDir() && e.By == s.by && !s.writes.Match(name) && !needed[name] {
			delete(now, name)
		}
	}
}
