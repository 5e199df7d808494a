package infra

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// errShape reports that an entry cannot be edited without changing another one.
var errShape = errors.New("the YAML around it cannot be edited without changing other entries")

// editEntry returns the document with the entry of a name added or replaced, or removed if value is nil. It replaces the lines of that entry. If lines do not
// separate the entries, it encodes the mapping that holds them again, and in a file in flow style (such as JSON) the whole file. Each result is parsed and
// compared with the original; if anything but the entry differs, it is discarded.
func (d *document) editEntry(name string, value *yaml.Node) (*document, error) {
	refused := errShape
	for _, rewrite := range []func(string, *yaml.Node) ([]byte, error){d.editLines, d.encodeMapping, d.encodeRoot} {
		data, err := rewrite(name, value)
		if err == nil {
			var edited *document
			if edited, err = d.verifyEdit(data, name, value); err == nil {
				return edited, nil
			}
		}
		if refused == errShape { //nolint:errorlint // the first error that gives a reason is returned
			refused = err
		}
	}
	return nil, refused
}

// removeEntries returns the document without the entries of a name.
func (d *document) removeEntries(name string) (*document, error) {
	for d.countEntries(name) > 0 {
		edited, err := d.editEntry(name, nil)
		if err != nil {
			return nil, err
		}
		d = edited
	}
	return d, nil
}

// verifyEdit parses an edited text and compares it with the original.
func (d *document) verifyEdit(data []byte, name string, value *yaml.Node) (*document, error) {
	edited, err := parseContent(d.format, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errShape, err)
	}
	want := max(d.countEntries(name), 1)
	if value == nil {
		want = d.countEntries(name) - 1
	} else if have, ok := edited.findEntry(name); !ok || !isSame(have.value, value, false) {
		return nil, errShape
	}
	if edited.countEntries(name) != want || !slices.EqualFunc(d.terminated().otherEntries(name), edited.terminated().otherEntries(name), isSameEntry) {
		return nil, errShape
	}
	return edited, nil
}

// terminated returns the document with a final line break, which a block scalar at the end gets or loses with an edit.
func (d *document) terminated() *document {
	if d.isTerminated() {
		return d
	}
	terminated, err := parseDocument(d.format, append(bytes.Clone(d.data), '\n'))
	if err != nil {
		return d
	}
	return terminated
}

func (d *document) isTerminated() bool { return d.starts[len(d.starts)-1] == len(d.data) }

// otherEntries returns everything in the file but the entries of a name.
func (d *document) otherEntries(name string) []entry {
	var others []entry
	key, _ := d.mapping()
	for _, e := range entries(d.root) {
		if key != nil && e.key != key {
			others = append(others, e)
		}
	}
	for _, e := range d.entries() {
		if scalarText(e.key) != name {
			others = append(others, e)
		}
	}
	return others
}

// editLines replaces the lines of one entry.
func (d *document) editLines(name string, value *yaml.Node) ([]byte, error) {
	key, m := d.mapping()
	es := entries(m)
	e, exists := lookup(m, name)
	switch {
	case m == nil:
		content := mappingNode(stringNode(name), value)
		if d.holder != "" {
			content = mappingNode(stringNode(d.holder), content)
		}
		return d.replaceLines(len(d.starts), len(d.starts), content, 0)
	case len(es) == 0:
		return d.fillMapping(key, m, mappingNode(stringNode(name), value))
	case m.Style&yaml.FlowStyle != 0:
		return nil, errShape
	case value == nil && len(es) == 1:
		return d.emptyMapping(key, e)
	case exists:
		var content *yaml.Node
		if value != nil {
			content = mappingNode(e.key, value)
		}
		from, to, err := d.lineRange(e, e.key.Column-1)
		if err != nil {
			return nil, err
		}
		return d.replaceLines(from, to, content, e.key.Column-1)
	}
	last := es[len(es)-1]
	_, to, err := d.lineRange(last, last.key.Column-1)
	if err != nil {
		return nil, err
	}
	return d.replaceLines(to, to, mappingNode(stringNode(name), value), last.key.Column-1)
}

// fillMapping writes the first entry in place of "{}". The lines around it are kept, so that emptyMapping restores the text.
func (d *document) fillMapping(key, m, content *yaml.Node) ([]byte, error) {
	open, line := d.nodeOffset(m), m.Line-1
	if key == nil {
		if string(bytes.TrimRight(d.line(line), "\r\n")) != "{}" {
			return nil, errShape
		}
		return d.replaceLines(line, line+1, content, 0)
	}
	_, to, err := d.lineRange(entry{key, m}, key.Column-1)
	if err != nil || !bytes.HasSuffix(d.data[:open], []byte(": ")) || !bytes.HasPrefix(d.data[open:], []byte("{}")) {
		return nil, errShape
	}
	data, err := d.replaceLines(to, to, content, key.Column+1)
	if err != nil {
		return nil, err
	}
	return slices.Delete(data, open-1, open+len("{}")), nil
}

// emptyMapping removes the only entry and writes "{}".
func (d *document) emptyMapping(key *yaml.Node, e entry) ([]byte, error) {
	indent := e.key.Column - 1
	if key == nil && lastNode(e.value).Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		indent = math.MaxInt // comments after the entry stay
	}
	from, to, err := d.lineRange(e, indent)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return d.replaceLines(from, to, mappingNode(), 0)
	}
	data, err := d.replaceLines(from, to, nil, 0)
	if err != nil {
		return nil, err
	}
	colon := bytes.IndexByte(data[d.nodeOffset(key):], ':')
	if colon < 0 {
		return nil, errShape
	}
	return slices.Insert(data, d.nodeOffset(key)+colon+1, []byte(" {}")...), nil
}

// encodeMapping encodes the mapping that holds the entries again and replaces its lines.
func (d *document) encodeMapping(name string, value *yaml.Node) ([]byte, error) {
	key, m := d.mapping()
	if key == nil || d.root.Style&yaml.FlowStyle != 0 {
		return nil, errShape
	}
	e, _ := lookup(d.root, d.holder)
	from, to, err := d.lineRange(e, key.Column-1)
	if err != nil || e.value != m {
		return nil, errShape
	}
	return d.replaceLines(from, to, mappingNode(key, withEntry(m, stringNode(name), value)), key.Column-1)
}

// encodeRoot encodes a file in flow style again. The new entry has double quotes everywhere, as the file may be JSON.
func (d *document) encodeRoot(name string, value *yaml.Node) ([]byte, error) {
	if d.root == nil || d.root.Style&yaml.FlowStyle == 0 {
		return nil, errShape
	}
	key, m := d.mapping()
	root := withEntry(m, quoteAll(stringNode(name)), quoteAll(value))
	if key != nil {
		root = withEntry(d.root, key, root)
	}
	tree := *d.tree
	tree.Content = []*yaml.Node{root}
	lines, err := d.encodeNode(&tree, 0)
	return slices.Concat(d.data[:d.lineStart(0)], []byte(lines)), err
}

// lineRange returns the lines, from 0, of an entry of a block mapping: from its key up to, but not including, the next key and the blank lines and comments
// above that. A comment that is indented by more than indent belongs to the entry.
func (d *document) lineRange(e entry, indent int) (from, to int, err error) {
	from = e.key.Line - 1
	if before := d.data[d.lineStart(from):d.nodeOffset(e.key)]; len(bytes.Trim(before, " ")) > 0 {
		return 0, 0, errShape
	}
	end := from + 1
	for end < len(d.starts) && !bytes.HasPrefix(d.line(end), []byte("...")) {
		end++
	}
	next := entries(d.root)
	if key, _ := d.mapping(); key != e.key {
		next = slices.Concat(next, d.entries())
	}
	for _, other := range next {
		if line := other.key.Line - 1; line > from {
			end = min(end, line)
		}
	}
	to = end
	for to > from+1 && (d.isBlank(to-1) || d.isComment(to-1, indent)) {
		to--
	}
	if last := lastNode(e.value); last.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && endsBlank(last.Value) {
		for to < end && d.isBlank(to) {
			to++
		}
	}
	return from, to, nil
}

// endsBlank reports whether the last line of a block scalar is blank, so that blank lines after it may belong to it.
func endsBlank(value string) bool {
	value = strings.TrimSuffix(value, "\n")
	return strings.TrimSpace(value[strings.LastIndexByte(value, '\n')+1:]) == ""
}

func (d *document) isBlank(line int) bool { return len(bytes.TrimSpace(d.line(line))) == 0 }

// isComment reports whether a line holds nothing but a comment that is indented by at most indent.
func (d *document) isComment(line, indent int) bool {
	rest := bytes.TrimLeft(d.line(line), " ")
	return bytes.HasPrefix(rest, []byte("#")) && len(d.line(line))-len(rest) <= indent
}

// replaceLines returns the text with the lines from up to, but not including, to replaced by a node, or removed if it is nil. A text without a final line
// break stays one.
func (d *document) replaceLines(from, to int, content *yaml.Node, indent int) ([]byte, error) {
	lines, err := d.encodeNode(content, indent)
	if err != nil {
		return nil, err
	}
	i, j := d.lineStart(from), d.lineStart(to)
	if j == len(d.data) && !d.isTerminated() {
		lines = strings.TrimSuffix(lines, d.lineBreak())
		switch {
		case i == j:
			lines = d.lineBreak() + lines
		case content == nil:
			i = len(bytes.TrimSuffix(bytes.TrimSuffix(d.data[:i], []byte("\n")), []byte("\r")))
		}
	}
	return slices.Concat(d.data[:i], []byte(lines), d.data[j:]), nil
}

// encodeNode returns a node as indented lines with the line breaks of the file; none for nil.
func (d *document) encodeNode(n *yaml.Node, indent int) (string, error) {
	if n == nil {
		return "", nil
	}
	if n.Kind == yaml.MappingNode {
		n = toLines(n)
	}
	encoded, err := encodeLines(n)
	var b strings.Builder
	for line := range strings.Lines(encoded) {
		if line != "\n" {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.WriteString(strings.TrimSuffix(line, "\n") + d.lineBreak())
	}
	return b.String(), err
}

// lineBreak returns the line break of the first line.
func (d *document) lineBreak() string {
	if i := bytes.IndexAny(d.line(0), "\r\n"); i >= 0 {
		return string(d.line(0)[i:])
	}
	return "\n"
}
