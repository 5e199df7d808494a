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
	"sync"

	"github.com/redis/go-redis/v9"
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

// PutInputs stores the inputs of a run under their paths and returns their layer. Chunks that exist are not sent again. A [FullError] is
// returned before anything is sent.
func (s *Store) PutInputs(ctx context.Context, sources map[string]Source) (Layer, error) {
	entries, err := inputEntries(sources)
	if err != nil {
		return "", fmt.Errorf("run %s: inputs: %w", s.run, err)
	}
	copied := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		if sources[name].Set.Set == "" {
			continue
		}
		taken, err := s.copySet(ctx, sources[name].Set, name)
		if err != nil {
			return "", fmt.Errorf("run %s: input %q: %w", s.run, name, err)
		}
		for _, e := range taken {
			copied[e.Path] = true
		}
		entries = append(entries, taken...)
	}
	t, err := NewTree(entries)
	if err != nil {
		return "", fmt.Errorf("run %s: inputs: %w", s.run, err)
	}
	if err := s.checkFreeMemory(ctx, t.Size()); err != nil {
		return "", fmt.Errorf("run %s: inputs: %w", s.run, err)
	}
	err = s.runUpload(ctx, func(u *upload) error {
		for _, e := range t.entries {
			if e.IsFile() && !copied[e.Path] {
				if err := u.addInput(e, sources[e.Path]); err != nil {
					return fmt.Errorf("run %s: input %q: %w", s.run, e.Path, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return s.PutTree(ctx, t)
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

// checkFreeMemory compares the required memory with what the server, or all masters together, have left, if they report it. Without the permission to
// ask, a user learns it only when a command fails.
func (s *Store) checkFreeMemory(ctx context.Context, need int64) error {
	var mu sync.Mutex // the masters of a Cluster are asked concurrently
	var free int64
	limited := true
	err := s.runOnEachMaster(ctx, "read its memory limits", func(ctx context.Context, master *redis.Client) error {
		info, err := master.Info(ctx, "memory").Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		limit := infoNumber(info, "maxmemory")
		limited = limited && limit > 0
		free += max(limit-infoNumber(info, "used_memory"), 0)
		return nil
	})
	if err != nil {
		return ignoreForbidden(err)
	}
	// Headers, the manifest and the allocator need up to 2 %.
	if need += need / 50; limited && need > free {
		return &FullError{Need: need, Free: free}
	}
	return nil
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
