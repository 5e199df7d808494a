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

// formatVersion is raised if an older reader would misread what this package writes.
const formatVersion = 1

// maxLine limits one line of a manifest: the digests of a file of 1 TiB.
const maxLine = 80 << 20

// entryBlock is the number of entries in one allocation.
const entryBlock = 32

// header is the first line of a manifest.
type header struct {
	Version int `json:"v"`
}

// line is one entry. The names have one letter because they make up much of a manifest of 100,000 files.
type line struct {
	Path      string   `json:"p,omitempty"`
	PathBytes []byte   `json:"pb,omitempty"` // instead of p if the path is not UTF-8
	Type      string   `json:"t,omitempty"`  // "" file, "d" directory, "l" symbolic link
	Mode      string   `json:"m,omitempty"`  // octal, with setuid, setgid and sticky as in chmod; not for links
	Size      int64    `json:"s,omitempty"`
	Link      string   `json:"l,omitempty"`
	LinkBytes []byte   `json:"lb,omitempty"` // instead of l if the target is not UTF-8
	Chunks    []Digest `json:"c,omitempty"`
	Offset    int64    `json:"o,omitempty"`
	SHA256    Digest   `json:"h,omitzero"`
	By        string   `json:"b,omitempty"`
}

// manifestWriter writes entries as JSON lines. The same entries always produce the same bytes, hence the same layer.
type manifestWriter struct {
	to    *json.Encoder
	order order
}

func newManifestWriter(to io.Writer) (*manifestWriter, error) {
	w := &manifestWriter{to: json.NewEncoder(to)}
	w.to.SetEscapeHTML(false)
	return w, w.to.Encode(header{formatVersion})
}

// addEntry writes an entry; the caller sorts them by path.
func (w *manifestWriter) addEntry(e *Entry) error {
	if err := w.order.checkEntry(e); err != nil {
		return err
	}
	return w.to.Encode(lineOf(e))
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

// manifestReader reads and checks entries. It trusts no input, as everyone who can write to Redis can write a manifest.
type manifestReader struct {
	lines  *bufio.Scanner
	number int // number of the last line
	order  order
	share  sharer
	block  []Entry // allocated for several entries
}

func newManifestReader(r io.Reader) (*manifestReader, error) {
	m := &manifestReader{lines: bufio.NewScanner(r)}
	m.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var head header
	if err := m.readLine(func(text []byte) error { return json.Unmarshal(text, &head) }); errors.Is(err, errEnd) {
		return nil, fmt.Errorf("manifest %w: it is empty", ErrCorrupt)
	} else if err != nil {
		return nil, err
	}
	if head.Version > formatVersion {
		return nil, fmt.Errorf("manifest %w (version %d, this program knows %d)", ErrNewer, head.Version, formatVersion)
	}
	if head.Version < 1 {
		return nil, fmt.Errorf("manifest %w: version %d", ErrCorrupt, head.Version)
	}
	return m, nil
}

// readLine passes the next line to into. It returns errEnd after the last line.
func (m *manifestReader) readLine(into func([]byte) error) error {
	more := m.lines.Scan()
	m.number++
	var err error
	if more {
		err = into(m.lines.Bytes())
	}
	switch {
	case errors.Is(m.lines.Err(), bufio.ErrTooLong):
		err = m.lines.Err()
	case m.lines.Err() != nil: // reading failed; the manifest may be correct, and the parsed text may be half a line
		return m.lines.Err()
	case !more:
		return errEnd
	}
	if err != nil {
		return fmt.Errorf("manifest %w at line %d: %w", ErrCorrupt, m.number, err)
	}
	return nil
}

// next returns the next entry, errEnd after the last one.
func (m *manifestReader) next() (*Entry, error) {
	if len(m.block) == 0 {
		m.block = make([]Entry, entryBlock)
	}
	e := &m.block[0]
	err := m.readLine(func(text []byte) (err error) {
		*e, err = parseLine(text)
		m.share.shareEntry(e)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := m.order.checkEntry(e); err != nil {
		return nil, fmt.Errorf("manifest %w: %w", ErrCorrupt, err)
	}
	m.block = m.block[1:]
	return e, nil
}

// entries returns entries in the order of their paths, and errEnd after the last one.
type entries interface{ next() (*Entry, error) }

// errEnd is not io.EOF, because a broken connection returns that as well.
var errEnd = errors.New("there are no more entries")

// collectTree reads a whole tree.
func collectTree(from entries) (Tree, error) {
	var t Tree
	for {
		e, err := from.next()
		if errors.Is(err, errEnd) {
			return t, nil
		}
		if err != nil {
			return Tree{}, err
		}
		t.entries = append(t.entries, e)
	}
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
			return Entry{}, fmt.Errorf("mode %.20q is not an octal number up to 7777", l.Mode)
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

// unixMode converts a mode to the bits of Unix; three of them are elsewhere in Go's. goMode is its reverse.
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

// sharer lets the files of one pack share one list of chunks, and the files of one step its name, as a tree of 100,000 files mostly
// consists of these.
type sharer struct {
	last []Digest // with one chunk
	by   string
}

func (s *sharer) shareEntry(e *Entry) {
	e.By = s.shareWriter([]byte(e.By))
	if len(e.Chunks) == 1 {
		e.Chunks = s.shareChunk(e.Chunks[0])
	}
}

func (s *sharer) shareWriter(by []byte) string {
	if string(by) != s.by {
		s.by = string(by)
	}
	return s.by
}

func (s *sharer) shareChunk(d Digest) []Digest {
	if len(s.last) == 0 || s.last[0] != d {
		s.last = []Digest{d}
	}
	return s.last
}
