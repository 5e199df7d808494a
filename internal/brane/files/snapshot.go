package files

import (
	"context"
	"errors"
	"fmt"
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
		return shot.walk(".")
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

// walk visits a folder in the order of its names. fs.WalkDir would refuse names that are not UTF-8.
func (s *snapshot) walk(folder string) error {
	f, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	found, err := f.ReadDir(-1)
	_ = f.Close() // it was only read
	if err != nil {
		return fmt.Errorf("read folder %q: %w", folder, err)
	}
	slices.SortFunc(found, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, d := range found {
		name := path.Join(folder, d.Name())
		info, err := s.root.Lstat(name)
		if err != nil {
			return err
		}
		if err := s.visit(name, info); err != nil {
			return err
		}
		if info.IsDir() {
			if err := s.walk(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *snapshot) visit(name string, info fs.FileInfo) error {
	if !info.IsDir() && !s.writes.Match(name) {
		return nil
	}
	e := &Entry{Path: name, Mode: info.Mode() & modeBits, By: s.by}
	s.entries = append(s.entries, e)
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil
	case mode&fs.ModeSymlink != 0:
		return s.link(e)
	case mode.IsRegular():
		if err := s.file(e, info); err != nil {
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

func (s *snapshot) file(e *Entry, info fs.FileInfo) error {
	i, found := s.before.seen.index(e.Path)
	var old Entry
	if found {
		old = *s.before.seen.entries[i]
		if s.before.stamps != nil && s.before.stamps[i].CTime != 0 && s.before.stamps[i] == stampOf(info) {
			s.entries[len(s.entries)-1] = s.before.seen.entries[i]
			return nil
		}
	}
	e.Size = info.Size()
	open := unchanged(info, func() (*os.File, error) { return s.root.Open(e.Path) })
	if e.Size > ChunkSize {
		return s.upload.addLarge(e, old.Chunks, open)
	}
	buffer, release := s.upload.store.buffer()
	defer release()
	content := buffer[:e.Size]
	if err := readAt(open, content, 0); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w; make it readable for the user of the step", err)
		}
		return err
	}
	if found && old.IsFile() && old.Size == e.Size && old.SHA256 == digestOf(content) {
		e.SHA256, e.Chunks, e.Offset = old.SHA256, old.Chunks, old.Offset
		return nil
	}
	return s.upload.addSmall(e, content)
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
