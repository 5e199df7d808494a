package files

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
)

// modeBits are the bits of a mode that the format stores: permissions, setuid, setgid, sticky and the type.
const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | fs.ModeDir | fs.ModeSymlink

// Entry is one file, directory or symbolic link of a tree.
type Entry struct {
	Path string // relative to the root of the tree, with slashes, in the bytes of the file system
	Mode fs.FileMode
	Size int64  // of a file
	Link string // the target of a symbolic link
	// Chunks contain the file in order, beginning at byte Offset of the first. All but the last are ChunkSize long.
	Chunks []Digest
	Offset int64
	SHA256 Digest // of a file's content; zero if the file is larger than a chunk, except in what Keep returns
	By     string // the step that wrote it last, "" for an input
}

// IsFile reports whether the entry is a regular file.
func (e Entry) IsFile() bool { return e.Mode.IsRegular() }

// sameContent reports whether a program that reads the two entries sees the same.
func (e Entry) sameContent(o Entry) bool {
	if e.Mode.Type() != o.Mode.Type() {
		return false
	}
	switch {
	case e.Mode.IsDir(): // different umasks are not a conflict
		return true
	case e.Mode&fs.ModeSymlink != 0:
		return e.Link == o.Link
	case e.Mode != o.Mode || e.Size != o.Size:
		return false
	case !e.SHA256.IsZero() && !o.SHA256.IsZero():
		return e.SHA256 == o.SHA256
	}
	return e.Offset == o.Offset && slices.Equal(e.Chunks, o.Chunks)
}

// equals reports whether the two entries are the same in all respects, also in who wrote them and where they are stored.
func (e *Entry) equals(o *Entry) bool {
	return e.Path == o.Path && e.Mode == o.Mode && e.Size == o.Size && e.Link == o.Link && slices.Equal(e.Chunks, o.Chunks) && e.Offset == o.Offset &&
		e.SHA256 == o.SHA256 && e.By == o.By
}

// Tree is a sorted, valid list of entries; the zero Tree is empty. It is immutable.
//
// Its entries are pointers because a step's tree shares most of them with the trees of its parents.
type Tree struct{ entries []*Entry }

// NewTree sorts and checks entries. The caller must not use the slice afterwards.
func NewTree(entries []Entry) (Tree, error) {
	pointers := make([]*Entry, len(entries))
	for i := range entries {
		pointers[i] = &entries[i]
	}
	return treeOf(pointers)
}

func treeOf(entries []*Entry) (Tree, error) {
	slices.SortFunc(entries, byPath)
	t := Tree{entries}
	return t, t.checkEntries()
}

// byPath compares the bytes of the paths, so that a directory precedes its content.
func byPath(a, b *Entry) int { return cmp.Compare(a.Path, b.Path) }

// Len returns the number of entries.
func (t Tree) Len() int { return len(t.entries) }

// All returns the entries, sorted by the bytes of their paths: a directory precedes its content.
func (t Tree) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, e := range t.entries {
			if !yield(*e) {
				return
			}
		}
	}
}

// Size returns the size of all files.
func (t Tree) Size() (size int64) {
	for _, e := range t.entries {
		size += e.Size
	}
	return size
}

// Lookup returns the entry at a path.
func (t Tree) Lookup(name string) (Entry, bool) {
	i, found := t.findEntry(name)
	if !found {
		return Entry{}, false
	}
	return *t.entries[i], true
}

func (t Tree) findEntry(name string) (int, bool) {
	return slices.BinarySearchFunc(t.entries, name, func(e *Entry, name string) int { return cmp.Compare(e.Path, name) })
}

// next lets the rest of a tree be read like a stored one.
func (t *Tree) next() (*Entry, error) {
	if len(t.entries) == 0 {
		return nil, errEnd
	}
	e := t.entries[0]
	t.entries = t.entries[1:]
	return e, nil
}

// checkEntries rejects what no correct writer creates: an attacker with access to Redis may have written the manifest.
func (t Tree) checkEntries() error {
	var o order
	for _, e := range t.entries {
		if err := o.checkEntry(e); err != nil {
			return err
		}
	}
	return nil
}

func (e *Entry) checkFields() error {
	if err := CheckPath(e.Path); err != nil {
		return err
	}
	if e.Mode&^modeBits != 0 {
		return fmt.Errorf("path %q is neither a file, a directory nor a symbolic link", e.Path)
	}
	if e.IsFile() {
		return e.checkFile()
	}
	if e.Size != 0 || len(e.Chunks) != 0 || e.Offset != 0 || !e.SHA256.IsZero() {
		return fmt.Errorf("path %q has content, but is not a file", e.Path)
	}
	if e.Mode.IsDir() {
		if e.Link != "" || e.Mode&fs.ModeSymlink != 0 {
			return fmt.Errorf("path %q is both a directory and a symbolic link", e.Path)
		}
		return nil
	}
	if reason := checkLink(e.Link); reason != "" {
		return fmt.Errorf("symbolic link %q %s", e.Path, reason)
	}
	return nil
}

func (e *Entry) checkFile() error {
	if e.Size < 0 || e.Offset < 0 || e.Offset >= ChunkSize || e.Link != "" {
		return fmt.Errorf("file %q has an impossible size, offset or target", e.Path)
	}
	// The sum cannot overflow: a size near 2^63 would need more chunk digests than there is memory.
	if e.Size/ChunkSize > int64(len(e.Chunks)) || int64(len(e.Chunks)) != chunksOf(e.Offset, e.Size) {
		return fmt.Errorf("file %q of %d bytes at offset %d has %d chunks", e.Path, e.Size, e.Offset, len(e.Chunks))
	}
	return nil
}

// chunksOf returns the number of chunks that contain size bytes, beginning at offset in the first.
func chunksOf(offset, size int64) int64 {
	if size == 0 {
		return 0
	}
	return (offset + size + ChunkSize - 1) / ChunkSize
}

// maxPath is Linux' PATH_MAX.
const maxPath = 4096

// CheckPath rejects a path that is not plainly inside a tree: empty, absolute, with "..", "." or empty segments, or with a zero byte.
func CheckPath(name string) error {
	switch {
	case isCleanPath(name):
		return nil
	case name == "" || name == ".":
		return errors.New("an empty path names no file")
	case len(name) >= maxPath:
		return fmt.Errorf("path %.40q… is longer than %d bytes", name, maxPath-1)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("path %q contains a zero byte", name)
	case path.IsAbs(name):
		return fmt.Errorf("path %q is absolute; it must be relative to the root of the files", name)
	case name == ".." || strings.HasPrefix(path.Clean(name), "../") || path.Clean(name) == "..":
		return fmt.Errorf("path %q points outside the files", name)
	case path.Clean(name) != name:
		return fmt.Errorf("path %q has an empty, \".\" or \"..\" part; write %q", name, path.Clean(name))
	}
	return nil
}

// isCleanPath is a fast check that most paths pass: no segment is empty or begins with a dot, and there is no zero byte.
func isCleanPath(name string) bool {
	before := byte('/')
	for i := range len(name) {
		c := name[i]
		if c == 0 || before == '/' && (c == '/' || c == '.') {
			return false
		}
		before = c
	}
	return before != '/' && len(name) < maxPath
}

// checkLink returns why a link cannot be stored, "" if it can. The target may be anywhere, as with the links of a Python environment to the
// image's interpreter. Restore stays inside its directory all the same, because it uses [os.Root], which follows no link out of it, and no
// entry may be below a link; and a program that follows such a link finds only what it could name itself, in its own container.
func checkLink(target string) (reason string) {
	switch {
	case target == "":
		return "has no target"
	case len(target) >= maxPath || strings.ContainsRune(target, 0):
		return "has an impossible target"
	}
	return ""
}

// Resolve is Lookup that follows symbolic links inside the tree, at the end of the path and within it. It does not find what a link outside
// of the tree points to.
func (t Tree) Resolve(name string) (Entry, bool) {
	e, _, found := t.followLinks(name)
	return e, found
}

// TracePath returns the paths that decide what Resolve finds: the path, those that links on it lead to, and the directories and links above them.
func (t Tree) TracePath(name string) []string {
	_, followed, _ := t.followLinks(name)
	var all []string
	for _, name := range followed {
		for ; name != "."; name = path.Dir(name) {
			all = append(all, name)
		}
	}
	return all
}

// followLinks is Resolve that also returns the path, and those that links on it lead to.
func (t Tree) followLinks(name string) (e Entry, followed []string, found bool) {
	for range 40 { // the limit of Linux
		followed = append(followed, name)
		e, found := t.Lookup(name)
		if found && e.Mode&fs.ModeSymlink == 0 {
			return e, followed, true
		}
		if found && path.IsAbs(e.Link) {
			return Entry{}, followed, false
		}
		if found {
			name = path.Join(path.Dir(name), e.Link)
			continue
		}
		if name, found = t.throughLink(name); !found {
			return Entry{}, followed, false
		}
	}
	return Entry{}, followed, false
}

// throughLink replaces the first directory of a path that is a link.
func (t Tree) throughLink(name string) (string, bool) {
	for i, c := range name {
		if c != '/' {
			continue
		}
		if e, found := t.Lookup(name[:i]); found && e.Mode&fs.ModeSymlink != 0 {
			if path.IsAbs(e.Link) {
				return "", false
			}
			return path.Join(path.Dir(e.Path), e.Link, name[i+1:]), true
		}
	}
	return "", false
}
