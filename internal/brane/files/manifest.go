package files

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"unicode/utf8"
)

// formatVersion is raised when an older reader would misread what a newer writer writes.
const formatVersion = 1

// maxLine bounds one line of a manifest: the digests of a file of 1 TiB.
const maxLine = 80 << 20

// entryBlock is how many entries are allocated at once.
const entryBlock = 256

// header is the first line of a manifest.
type header struct {
	Version int `json:"v"`
	Entries int `json:"n"`
}

// line is one entry. Names are one letter: a manifest of 100,000 files is mostly these.
type line struct {
	Path      string   `json:"p,omitempty"`
	PathBytes []byte   `json:"pb,omitempty"` // instead of p where the path is not UTF-8
	Type      string   `json:"t,omitempty"`  // "" file, "d" folder, "l" symbolic link
	Mode      string   `json:"m,omitempty"`  // octal, with setuid, setgid and sticky as in chmod; not for links
	Size      int64    `json:"s,omitempty"`
	Link      string   `json:"l,omitempty"`
	LinkBytes []byte   `json:"lb,omitempty"` // instead of l where the target is not UTF-8
	Chunks    []Digest `json:"c,omitempty"`
	Offset    int64    `json:"o,omitempty"`
	SHA256    Digest   `json:"h,omitzero"`
	By        string   `json:"b,omitempty"`
}

// writeManifest writes a tree as JSON lines. The same tree always gives the same bytes, hence the same layer.
func writeManifest(w io.Writer, t Tree) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(header{formatVersion, t.Len()}); err != nil {
		return err
	}
	var text []byte
	for _, entry := range t.entries {
		plain, ok := appendPlain(text[:0], entry)
		if !ok {
			if err := e.Encode(lineOf(entry)); err != nil {
				return err
			}
			continue
		}
		text = append(plain, '\n')
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

func lineOf(e *Entry) *line {
	l := &line{Size: e.Size, Chunks: e.Chunks, Offset: e.Offset, SHA256: e.SHA256, By: e.By}
	l.Path, l.PathBytes = textOrBytes(e.Path)
	l.Link, l.LinkBytes = textOrBytes(e.Link)
	switch {
	case e.Mode.IsDir():
		l.Type = "d"
	case e.Mode&fs.ModeSymlink != 0:
		l.Type = "l"
		return l
	}
	l.Mode = strconv.FormatUint(uint64(unixMode(e.Mode)), 8)
	return l
}

func textOrBytes(name string) (string, []byte) {
	if utf8.ValidString(name) {
		return name, nil
	}
	return "", []byte(name)
}

// readManifest reads and checks a tree. It trusts nothing: whoever can write to Redis can write a manifest.
func readManifest(r io.Reader) (Tree, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	next := func(line int, into func([]byte) error) (bool, error) {
		more := lines.Scan()
		var err error
		if more {
			err = into(lines.Bytes())
		}
		switch {
		case errors.Is(lines.Err(), bufio.ErrTooLong):
			err = lines.Err()
		case lines.Err() != nil: // reading failed, the manifest may be well; what was parsed may be half a line
			return false, lines.Err()
		}
		if err != nil {
			return false, fmt.Errorf("manifest %w at line %d: %w", ErrCorrupt, line, err)
		}
		return more, nil
	}
	var head header
	if more, err := next(1, func(text []byte) error { return json.Unmarshal(text, &head) }); err != nil {
		return Tree{}, err
	} else if !more {
		return Tree{}, fmt.Errorf("manifest %w: it is empty", ErrCorrupt)
	}
	if head.Version > formatVersion {
		return Tree{}, fmt.Errorf("manifest %w (version %d, this program knows %d)", ErrNewer, head.Version, formatVersion)
	}
	if head.Version < 1 {
		return Tree{}, fmt.Errorf("manifest %w: version %d", ErrCorrupt, head.Version)
	}
	var t Tree
	var share sharer
	var block []Entry // one allocation for many entries
	for {
		var e Entry
		more, err := next(len(t.entries)+2, func(text []byte) (err error) {
			plain := false
			if e, plain = parsePlain(text, &share); !plain {
				e, err = parseLine(text)
				share.entry(&e)
			}
			return err
		})
		if err != nil {
			return Tree{}, err
		}
		if !more {
			break
		}
		if len(block) == cap(block) {
			block = make([]Entry, 0, max(1, min(head.Entries-len(t.entries), entryBlock)))
		}
		block = append(block, e)
		t.entries = append(t.entries, &block[len(block)-1])
	}
	if len(t.entries) != head.Entries {
		return Tree{}, fmt.Errorf("manifest %w: %d entries where %d were announced", ErrCorrupt, len(t.entries), head.Entries)
	}
	if err := t.check(); err != nil {
		return Tree{}, fmt.Errorf("manifest %w: %w", ErrCorrupt, err)
	}
	return t, nil
}

func parseLine(text []byte) (Entry, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return Entry{}, err
	}
	e := Entry{Path: l.Path, Size: l.Size, Link: l.Link, Chunks: l.Chunks, Offset: l.Offset, SHA256: l.SHA256, By: l.By}
	if l.Path == "" {
		e.Path = string(l.PathBytes)
	}
	if l.Link == "" {
		e.Link = string(l.LinkBytes)
	}
	mode := uint64(0o777)
	if l.Type != "l" {
		var err error
		if mode, err = strconv.ParseUint(l.Mode, 8, 32); err != nil || mode > 0o7777 {
			return Entry{}, fmt.Errorf("mode %.20q is no octal number up to 7777", l.Mode)
		}
	}
	e.Mode = goMode(uint32(mode)) // at most 0o7777
	switch l.Type {
	case "":
	case "d":
		e.Mode |= fs.ModeDir
	case "l":
		e.Mode |= fs.ModeSymlink
	default:
		return Entry{}, fmt.Errorf("type %.20q is not known", l.Type)
	}
	return e, nil
}

// unixMode and goMode translate the three bits that Go keeps elsewhere.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		mode |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		mode |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		mode |= 0o1000
	}
	return mode
}

func goMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode) & fs.ModePerm
	if mode&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if mode&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if mode&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// sharer lets the hundreds of files of one pack share one list of chunks, and the files of one step its name:
// the tree is the largest thing the agent has in memory.
type sharer struct {
	last []Digest // of one chunk
	by   string
}

func (s *sharer) entry(e *Entry) {
	e.By = s.writer([]byte(e.By))
	if len(e.Chunks) == 1 {
		e.Chunks = s.chunk(e.Chunks[0])
	}
}

func (s *sharer) writer(by []byte) string {
	if string(by) != s.by {
		s.by = string(by)
	}
	return s.by
}

func (s *sharer) chunk(d Digest) []Digest {
	if len(s.last) == 0 || s.last[0] != d {
		s.last = []Digest{d}
	}
	return s.last
}
