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
var errShape = errors.New("the YAML around it cannot be edited without changing other entries; " +
	"write the file in block style, each key on a separate line, without {…}, anchors (&, *) and explicit keys (?)")

// editEntry returns the document with the entry of a name added or replaced, or removed if value is nil. It replaces as few lines as possible. Each result
// is parsed and compared with the original; if anything but the entry differs, the next rewrite is tried.
func (d *document) editEntry(name string, value *yaml.Node) (*document, error) {
	root := d.withEntry(name, value)
	refused := errShape
	for _, rewrite := range []func(root *yaml.Node) ([]byte, error){d.rewriteEmpty, d.rewriteLines, d.rewriteFlow} {
		data, err := rewrite(root)
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

// withEntry returns the top-level mapping with the entry of a name added or replaced, or removed if value is nil.
func (d *document) withEntry(name string, value *yaml.Node) *yaml.Node {
	key, m := d.entriesMapping()
	switch {
	case m == nil && d.holder == "":
		return mappingNode(stringNode(name), value)
	case m == nil:
		return mappingNode(stringNode(d.holder), mappingNode(stringNode(name), value))
	case key == nil:
		return withEntry(m, stringNode(name), value)
	}
	edited := withEntry(m, stringNode(name), value)
	if e, _ := findEntry(d.root, d.holder); e.value.Kind == yaml.AliasNode {
		edited.Anchor = "" // it stays where it is
	}
	return withEntry(d.root, key, edited)
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
	if edited.countEntries(name) != want || !slices.EqualFunc(d.withFinalBreak().otherEntries(name), edited.withFinalBreak().otherEntries(name), isSameEntry) {
		return nil, errShape
	}
	return edited, nil
}

// withFinalBreak returns the document with a final line break, which a block scalar at the end gets or loses with an edit.
func (d *document) withFinalBreak() *document {
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
	key, _ := d.entriesMapping()
	for _, e := range entriesOf(d.root) {
		if key != nil && e.key != key {
			others = append(others, e)
		}
	}
	for _, e := range d.listEntries() {
		if scalarText(e.key) != name {
			others = append(others, e)
		}
	}
	return others
}

// rewriteEmpty writes the first entry into a file without entries, or removes the last one. The lines around "{}" are kept, so that removing what was
// added restores the text.
func (d *document) rewriteEmpty(root *yaml.Node) ([]byte, error) {
	key, m := d.entriesMapping()
	switch {
	case m == nil:
		return d.replaceLines(len(d.starts), len(d.starts), root, 0)
	case len(m.Content) == 0:
		return d.fillMapping(key, m, root)
	case len(m.Content) == 2:
		return d.emptyMapping(key, m, root)
	}
	return nil, errShape
}

// fillMapping writes the first entry in place of "{}".
func (d *document) fillMapping(key, m, root *yaml.Node) ([]byte, error) {
	open, line := d.nodeOffset(m), m.Line-1
	if key == nil {
		if string(bytes.TrimRight(d.lineText(line), "\r\n")) != "{}" {
			return nil, errShape
		}
		return d.replaceLines(line, line+1, root, 0)
	}
	_, to, err := d.lineRange(entry{key, m}, key.Column-1, d.root)
	if err != nil || !bytes.HasSuffix(d.data[:open], []byte(": ")) || !bytes.HasPrefix(d.data[open:], []byte("{}")) {
		return nil, errShape
	}
	e, _ := findEntry(root, d.holder)
	data, err := d.replaceLines(to, to, e.value, key.Column+1)
	if err != nil {
		return nil, err
	}
	return slices.Delete(data, open-1, open+len("{}")), nil
}

// emptyMapping writes "{}" in place of the last entry.
func (d *document) emptyMapping(key, m, root *yaml.Node) ([]byte, error) {
	e, _ := findEntry(root, d.holder)
	if m.Style&yaml.FlowStyle != 0 || key == nil && len(root.Content) > 0 || key != nil && len(e.value.Content) > 0 {
		return nil, errShape
	}
	last := entriesOf(m)[0]
	indent := last.key.Column - 1
	if key == nil && lastNode(last.value).Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		indent = math.MaxInt // comments after the entry stay
	}
	from, to, err := d.lineRange(last, indent, d.root, m)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return d.replaceLines(from, to, root, 0)
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

// change is the replacement of lines by a node, which is nil if they are removed.
type change struct {
	from, to int
	content  *yaml.Node
	indent   int
}

// rewriteLines replaces the lines of all keys whose values differ in the wanted top-level mapping.
func (d *document) rewriteLines(root *yaml.Node) ([]byte, error) {
	if d.root == nil {
		return nil, errShape
	}
	changes, err := d.compareLines(d.root, root)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.from - b.from })
	edited := d
	for _, c := range slices.Backward(changes) {
		data, err := edited.replaceLines(c.from, c.to, c.content, c.indent)
		if err != nil {
			return nil, err
		}
		edited = &document{format: d.format, data: data, starts: lineStarts(data)}
	}
	return edited.data, nil
}

// compareLines returns the changes that turn a mapping in block style into another one, in which the keys that are kept are the same nodes. If the lines of
// a nested mapping cannot be changed one by one, all of them are replaced. outer are the mappings around it.
func (d *document) compareLines(have, want *yaml.Node, outer ...*yaml.Node) ([]change, error) {
	if have.Kind != yaml.MappingNode || want.Kind != yaml.MappingNode || have.Style&yaml.FlowStyle != 0 || len(have.Content) == 0 || len(want.Content) == 0 {
		return nil, errShape
	}
	outer = append(slices.Clone(outer), have)
	old, indent, previous := entriesOf(have), have.Content[0].Column-1, -1
	var changes []change
	for _, e := range entriesOf(want) {
		i := slices.IndexFunc(old, func(o entry) bool { return o.key == e.key })
		switch {
		case i < 0 && previous < 0:
			return nil, errShape
		case i < 0:
			_, to, err := d.lineRange(old[previous], indent, outer...)
			if err != nil {
				return nil, err
			}
			changes = append(changes, change{to, to, mappingNode(e.key, e.value), indent})
			continue
		}
		previous = i
		if isSame(old[i].value, e.value, false) {
			continue
		}
		inner, err := d.compareLines(old[i].value, e.value, outer...)
		if err != nil {
			from, to, err := d.lineRange(old[i], indent, outer...)
			if err != nil {
				return nil, err
			}
			inner = []change{{from, to, mappingNode(e.key, e.value), indent}}
		}
		changes = append(changes, inner...)
	}
	for _, o := range old {
		if !slices.Contains(want.Content, o.key) {
			from, to, err := d.lineRange(o, indent, outer...)
			if err != nil {
				return nil, err
			}
			changes = append(changes, change{from, to, nil, indent})
		}
	}
	return changes, nil
}

// rewriteFlow encodes a file in flow style again. The new entry has double quotes everywhere, as the file may be JSON.
func (d *document) rewriteFlow(root *yaml.Node) ([]byte, error) {
	if d.root == nil || d.root.Style&yaml.FlowStyle == 0 {
		return nil, errShape
	}
	tree := *d.tree
	tree.Content = []*yaml.Node{quoteNew(root)}
	lines, err := d.encodeNode(&tree, 0)
	return slices.Concat(d.data[:d.lineStart(0)], []byte(lines)), err
}

// lineRange returns the lines, from 0, of an entry of a block mapping: from its key up to, but not including, the next key and the blank lines and comments
// above that. A comment that is indented by more than indent belongs to the entry. outer are the mapping and those around it.
func (d *document) lineRange(e entry, indent int, outer ...*yaml.Node) (from, to int, err error) {
	from = e.key.Line - 1
	if before := d.data[d.lineStart(from):d.nodeOffset(e.key)]; len(bytes.Trim(before, " ")) > 0 {
		return 0, 0, errShape
	}
	end := from + 1
	for end < len(d.starts) && !bytes.HasPrefix(d.lineText(end), []byte("...")) {
		end++
	}
	for _, m := range outer {
		for _, next := range entriesOf(m) {
			if line := next.key.Line - 1; line > from {
				end = min(end, line)
			}
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

func (d *document) isBlank(line int) bool { return len(bytes.TrimSpace(d.lineText(line))) == 0 }

// isComment reports whether a line holds nothing but a comment that is indented by at most indent.
func (d *document) isComment(line, indent int) bool {
	rest := bytes.TrimLeft(d.lineText(line), " ")
	return bytes.HasPrefix(rest, []byte("#")) && len(d.lineText(line))-len(rest) <= indent
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
	if i := bytes.IndexAny(d.lineText(0), "\r\n"); i >= 0 {
		return string(d.lineText(0)[i:])
	}
	return "\n"
}
