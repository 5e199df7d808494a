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

// ErrUnparsable reports that Brane cannot read a configuration file. Such a file is never written over.
var ErrUnparsable = errors.New("the file cannot be read")

// SyntaxError is an [ErrUnparsable] with its position.
type SyntaxError struct {
	File         string // infra.yml or secrets.yml
	Line, Column int    // from 1; 0 if there is no position, as in an empty file
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

// format describes one of the two configuration files.
type format struct {
	file   string
	holder string // key of the mapping whose entries are edited; empty if that is the top-level mapping
	empty  string // why an empty file is an error
	check  func(*document) error
}

// document is the text of a configuration file together with its parsed nodes. It is immutable: an edit returns another document.
type document struct {
	format
	data   []byte
	starts []int      // offset of each line
	tree   *yaml.Node // the YAML document; nil if the file has no content
	root   *yaml.Node // its top-level value; nil if the file has no content
}

// parseDocument parses and checks a file. An empty file is a document without content.
func parseDocument(f format, data []byte) (*document, error) {
	d := &document{format: f, data: data, starts: lineStarts(data)}
	if err := d.checkText(); err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var tree, second yaml.Node
	if err := decoder.Decode(&tree); err != nil {
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		return nil, d.syntaxError(err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, d.errorAt(&second, "a second YAML document begins here; Brane only reads files with one document")
	} else if !errors.Is(err, io.EOF) {
		return nil, d.syntaxError(err)
	}
	d.tree, d.root = &tree, tree.Content[0]
	return d, d.check(d)
}

// parseContent is parseDocument for a file that must not be empty.
func parseContent(f format, data []byte) (*document, error) {
	d, err := parseDocument(f, data)
	if err == nil && d.root == nil {
		err = &SyntaxError{File: f.file, Reason: f.empty}
	}
	return d, err
}

// Bytes returns the text to store.
func (d *document) Bytes() []byte { return d.data }

// Names returns the names of the entries in the order of the file.
func (d *document) Names() []string {
	var names []string
	seen := map[string]bool{}
	for _, e := range d.listEntries() {
		if name := scalarText(e.key); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// entriesMapping returns the mapping that holds the entries, and its key, which is nil for the top-level mapping. Both are nil if the file has no content.
func (d *document) entriesMapping() (key, m *yaml.Node) {
	if d.root == nil || d.holder == "" {
		return nil, d.root
	}
	e, _ := findEntry(d.root, d.holder)
	return e.key, resolveAlias(e.value)
}

func (d *document) listEntries() []entry {
	_, m := d.entriesMapping()
	return entriesOf(m)
}

// findEntry returns the last entry of a name, which is the one that Brane uses.
func (d *document) findEntry(name string) (entry, bool) {
	_, m := d.entriesMapping()
	return findEntry(m, name)
}

// countEntries returns how many entries have a name.
func (d *document) countEntries(name string) int {
	n := 0
	for _, e := range d.listEntries() {
		if scalarText(e.key) == name {
			n++
		}
	}
	return n
}

var (
	yamlLine   = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntaxRemedies are what to do about what Go's parser refuses, although Brane's reads it.
var syntaxRemedies = map[string]string{
	"found incompatible YAML document":   "remove the line %YAML, which Brane does not need",
	"found unknown directive name":       "remove the line that begins with %, which Brane does not need",
	"control characters are not allowed": "remove the character, or write it as an escape in double quotes",
	"did not find expected ',' or '}'":   "inside of {…}, write a space after each colon, or write each key on a separate line",
}

// checkText refuses what is not UTF-8, and characters that YAML 1.1 takes for line breaks: Go's parser does, Brane's does not.
func (d *document) checkText() error {
	if bytes.HasPrefix(d.data, []byte("\uFEFF")) {
		return &SyntaxError{d.file, 1, 1, "the file begins with a byte order mark, which Brane takes for a part of the first key; save it as UTF-8 without a byte order mark"}
	}
	for i := 0; i < len(d.data); {
		r, size := utf8.DecodeRune(d.data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return d.errorAtOffset(i, "invalid UTF-8")
		case r == '\u0085' || r == '\u2028' || r == '\u2029':
			return d.errorAtOffset(i, fmt.Sprintf("the character %U is a line break for some YAML readers only; remove it or write it as an escape in double quotes", r))
		}
		i += size
	}
	return nil
}

// syntaxError adds the position to an error of the parser, which names the line in most cases and the column never.
func (d *document) syntaxError(err error) error {
	found := yamlLine.FindStringSubmatch(err.Error())
	reason := err.Error()[len(found[0]):]
	if remedy := syntaxRemedies[reason]; remedy != "" {
		reason += "; " + remedy
	}
	if anchor := yamlAnchor.FindStringSubmatch(reason); anchor != nil {
		if i := bytes.Index(d.data, []byte("*"+anchor[1])); i >= 0 {
			return d.errorAtOffset(i, reason)
		}
	}
	line := 1
	if n, err := strconv.Atoi(found[1]); err == nil {
		line = min(max(n, 1), len(d.starts))
	} else if i := bytes.IndexFunc(d.data, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f }); i >= 0 {
		line = d.lineAt(i) + 1
	}
	text := d.lineText(line - 1)
	return &SyntaxError{d.file, line, len(text) - len(bytes.TrimLeft(text, " \t")) + 1, reason}
}

func (d *document) errorAt(n *yaml.Node, format string, args ...any) error {
	return &SyntaxError{d.file, max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...)}
}

func (d *document) errorAtOffset(i int, reason string) error {
	line := d.lineAt(i)
	return &SyntaxError{d.file, line + 1, utf8.RuneCount(d.data[d.starts[line]:i]) + 1, reason}
}

// lineStarts returns the offset of each line. A line ends with \n, \r\n or \r.
func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, c := range data {
		if c == '\n' || c == '\r' && !bytes.HasPrefix(data[i+1:], []byte("\n")) {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// lineAt returns the line, from 0, that holds an offset.
func (d *document) lineAt(i int) int {
	line := 0
	for line+1 < len(d.starts) && d.starts[line+1] <= i {
		line++
	}
	return line
}

// lineStart returns the offset of a line, from 0; the line after the last one starts at the end of the text.
func (d *document) lineStart(line int) int {
	if line < len(d.starts) {
		return d.starts[line]
	}
	return len(d.data)
}

// lineText returns a line, from 0, with its line break.
func (d *document) lineText(n int) []byte { return d.data[d.lineStart(n):d.lineStart(n+1)] }

// nodeOffset returns where a node begins.
func (d *document) nodeOffset(n *yaml.Node) int {
	i := d.lineStart(n.Line - 1)
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(d.data[i:])
		i += size
	}
	return i
}
