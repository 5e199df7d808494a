package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Source is the content of one input: Content, the local file at Path, or the files of a Set.
type Source struct {
	Content []byte
	Path    string
	Mode    fs.FileMode // 0 means 0644
	Set     Reference   // the input is then a directory
}

// dirMode is the mode of directories that only contain inputs.
const dirMode = fs.ModeDir | 0o755

// inputs are the inputs of a run, before they are stored.
type inputs struct {
	tree    Tree // without the digests of what is not in a set
	sources map[string]Source
	sets    map[string]setFiles // by the paths of the inputs
	copied  map[string]bool     // the paths that are in sets
}

// PutInputs stores the inputs of a run under their paths and returns their layer. Chunks that exist are not sent again. A [FullError] is
// returned before anything is sent.
func (s *Store) PutInputs(ctx context.Context, sources map[string]Source) (Layer, error) {
	in, err := s.openInputs(ctx, sources)
	if err != nil {
		return "", fmt.Errorf("run %s: %w", s.run, err)
	}
	if err := s.checkFreeMemory(ctx, in); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(in.sets)) {
		if err := s.copyChunks(ctx, in.sets[name].store, listChunks(in.sets[name].tree)); err != nil {
			return "", fmt.Errorf("run %s: input %q: file set %q: %w", s.run, name, sources[name].Set.Set, err)
		}
	}
	if err := s.runUpload(ctx, in.addFiles); err != nil {
		return "", err
	}
	return s.PutTree(ctx, in.tree)
}

// openInputs finds out which files the inputs have.
func (s *Store) openInputs(ctx context.Context, sources map[string]Source) (inputs, error) {
	in := inputs{sources: sources, sets: map[string]setFiles{}, copied: map[string]bool{}}
	entries, err := inputEntries(sources)
	if err != nil {
		return in, fmt.Errorf("inputs: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		if sources[name].Set.Set == "" {
			continue
		}
		if in.sets[name], err = s.readSet(ctx, sources[name].Set); err != nil {
			return in, fmt.Errorf("input %q: %w", name, err)
		}
		for _, e := range in.sets[name].listBelow(name) {
			in.copied[e.Path] = true
			entries = append(entries, e)
		}
	}
	if in.tree, err = NewTree(entries); err != nil {
		return in, fmt.Errorf("inputs: %w", err)
	}
	return in, nil
}

// addFiles adds the files that are not in a set.
func (in inputs) addFiles(u *upload) error {
	for _, e := range in.tree.entries {
		if e.IsFile() && !in.copied[e.Path] {
			if err := u.addInput(e, in.sources[e.Path]); err != nil {
				return fmt.Errorf("run %s: input %q: %w", u.store.run, e.Path, err)
			}
		}
	}
	return nil
}

// inputEntries returns an entry for every file, with its current size, and for every directory above one.
func inputEntries(sources map[string]Source) ([]Entry, error) {
	var entries []Entry
	directories := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		source := sources[name]
		if err := CheckPath(name); err != nil {
			return nil, err
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, fmt.Errorf("path %q is not a path inside a directory on this system", name)
		}
		for parent := path.Dir(name); parent != "." && !directories[parent]; parent = path.Dir(parent) {
			directories[parent] = true
			entries = append(entries, Entry{Path: parent, Mode: dirMode})
		}
		if source.Set.Set != "" {
			continue
		}
		e := Entry{Path: name, Mode: source.Mode & modeBits, Size: int64(len(source.Content))}
		if e.Mode == 0 {
			e.Mode = 0o644
		}
		if source.Path != "" {
			info, err := os.Stat(source.Path)
			if err != nil {
				return nil, fmt.Errorf("input %q: %w", name, err)
			}
			if !info.Mode().IsRegular() {
				return nil, fmt.Errorf("input %q: %w", name, &FileError{source.Path, "is not a regular file"})
			}
			e.Size = info.Size()
		}
		if e.Size > ChunkSize {
			e.Chunks = make([]Digest, chunksOf(0, e.Size))
		} else if e.Size > 0 {
			e.Chunks = make([]Digest, 1) // replaced when the file is packed
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (u *upload) addInput(e *Entry, source Source) error {
	open := opener(func() (io.ReaderAt, io.Closer, error) { return bytes.NewReader(source.Content), io.NopCloser(nil), nil })
	if source.Path != "" {
		before, err := os.Stat(source.Path)
		if err != nil {
			return err
		}
		open = openUnchanged(before, func() (*os.File, error) { return os.Open(source.Path) })
	}
	if e.Size > ChunkSize {
		return u.addLarge(e, nil, open)
	}
	return u.addSmallFile(e, nil, func(into ...[]byte) error {
		from := int64(0)
		for _, part := range into {
			if err := readAt(open, part, from); err != nil {
				return err
			}
			from += int64(len(part))
		}
		return nil
	})
}

// openUnchanged opens a file and fails if it is not the file that was found before.
func openUnchanged(before fs.FileInfo, open func() (*os.File, error)) opener {
	return func() (io.ReaderAt, io.Closer, error) {
		f, err := open()
		if err != nil {
			return nil, nil, err
		}
		now, err := f.Stat()
		if err == nil && (!os.SameFile(now, before) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
			err = errChanged
		}
		if err != nil {
			_ = f.Close() // nothing was written
			return nil, nil, err
		}
		return f, f, nil
	}
}

func infoField(info, name string) string {
	for text := range strings.Lines(info) {
		if key, value, found := strings.Cut(strings.TrimSpace(text), ":"); found && key == name {
			return value
		}
	}
	return ""
}

func infoNumber(info, name string) int64 {
	n, err := strconv.ParseInt(infoField(info, name), 10, 64)
	if err != nil {
		return 0 // not reported
	}
	return n
}
