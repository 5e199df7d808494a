package infra

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// ErrUnparsable says that a document is not what Brane reads. Nothing is written over such a document.
var ErrUnparsable = errors.New("the document cannot be read")

// SyntaxError says where a document is not what Brane reads.
type SyntaxError struct {
	File         string // infra.yml or secrets.yml
	Line, Column int    // from 1; 0 where there is none, as in an empty file
	Reason       string // a sentence without a full stop
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// Is makes every syntax error an [ErrUnparsable].
func (e *SyntaxError) Is(target error) bool { return target == ErrUnparsable }

// source is the text of a document together with what the parser made of it. It is never changed: an edit makes a new one.
type source struct {
	file   string
	data   []byte
	starts []int      // where each line begins
	root   *yaml.Node // the top-level value; nil where there is none, as in an empty file
}

func parseSource(file string, data []byte) (*source, error) {
	s := &source{file: file, data: data, starts: lineStarts(data)}
	if i := invalidUTF8(data); i >= 0 {
		line := s.lineAt(i)
		return nil, &SyntaxError{file, line + 1, utf8.RuneCount(data[s.starts[line]:i]) + 1, "this is not UTF-8 text"}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		return nil, s.syntaxError(err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return nil, &SyntaxError{file, max(second.Line, 1), max(second.Column, 1), "a second YAML document begins here; Brane reads files with one only"}
	} else if !errors.Is(err, io.EOF) {
		return nil, s.syntaxError(err)
	}
	s.root = document.Content[0]
	return s, nil
}

var (
	yamlLine   = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntaxError adds the place to the parser's words: it names the line in most cases and the column never.
func (s *source) syntaxError(err error) error {
	found := yamlLine.FindStringSubmatch(err.Error())
	reason := err.Error()[len(found[0]):]
	if anchor := yamlAnchor.FindStringSubmatch(reason); anchor != nil {
		if i := bytes.Index(s.data, []byte("*"+anchor[1])); i >= 0 {
			line := s.lineAt(i)
			return &SyntaxError{s.file, line + 1, utf8.RuneCount(s.data[s.starts[line]:i]) + 1, reason}
		}
	}
	line := 1
	if found[1] != "" {
		if n, err := strconv.Atoi(found[1]); err == nil {
			line = min(max(n, 1), len(s.starts))
		}
	} else if i := bytes.IndexFunc(s.data, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f }); i >= 0 {
		line = s.lineAt(i) + 1
	}
	text := s.line(line - 1)
	return &SyntaxError{s.file, line, len(text) - len(bytes.TrimLeft(text, " \t")) + 1, reason}
}

func (s *source) errorAt(n *yaml.Node, format string, args ...any) error {
	return &SyntaxError{s.file, max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...)}
}

// offset is where a node begins.
func (s *source) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(s.starts) {
		return len(s.data)
	}
	i := s.starts[n.Line-1]
	if i == 0 {
		i = len(s.data) - len(bytes.TrimPrefix(s.data, []byte("\uFEFF"))) // the parser does not count a byte order mark
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(s.data[i:])
		i += size
	}
	return i
}

// lineAt is the line, from 0, that holds the byte at i.
func (s *source) lineAt(i int) int {
	line := 0
	for line+1 < len(s.starts) && s.starts[line+1] <= i {
		line++
	}
	return line
}

// line is the text of a line, from 0, with its line break.
func (s *source) line(n int) []byte {
	if n+1 < len(s.starts) {
		return s.data[s.starts[n]:s.starts[n+1]]
	}
	return s.data[s.starts[n]:]
}

// lineBreak is what ends lines where the byte at i is.
func (s *source) lineBreak(i int) string {
	if bytes.HasSuffix(s.line(s.lineAt(i)), []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// lineStarts splits as the parser does, which counts YAML 1.1's line breaks: \n, \r\n, \r, NEL, LS and PS.
func lineStarts(data []byte) []int {
	starts := []int{0}
	for i := 0; i < len(data); {
		size := breakSize(data[i:])
		if size == 0 {
			i++
			continue
		}
		i += size
		starts = append(starts, i)
	}
	return starts
}

// breakSize is the length of the line break that data begins with, or 0.
func breakSize(data []byte) int {
	for _, b := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		if bytes.HasPrefix(data, []byte(b)) {
			return len(b)
		}
	}
	return 0
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return -1
}

// resolve follows an alias to its anchor.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// entry is one key of a mapping with its value.
type entry struct{ key, value *yaml.Node }

func entries(m *yaml.Node) []entry {
	es := make([]entry, 0, len(m.Content)/2)
	for i := 0; i+1 < len(m.Content); i += 2 {
		es = append(es, entry{m.Content[i], m.Content[i+1]})
	}
	return es
}

// lookup is the last entry of that key, which is the one that counts.
func lookup(m *yaml.Node, key string) (entry, bool) {
	es := entries(m)
	for i := len(es) - 1; i >= 0; i-- {
		if text(es[i].key) == key {
			return es[i], true
		}
	}
	return entry{}, false
}
