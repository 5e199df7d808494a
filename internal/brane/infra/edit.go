package infra

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// errShape says that a place in a document cannot be edited without touching its neighbours. Callers take a coarser edit or give up.
var errShape = errors.New("the text around it has a form that cannot be edited safely")

// field is one key that we write: with a string, or with a mapping of fields.
type field struct {
	key   string
	value string
	sub   []field
}

// block writes the field as lines, each with a line break.
func (f field) block(indent int, lineBreak string) string {
	head := strings.Repeat(" ", indent) + quote(f.key) + ":"
	if f.sub == nil {
		return head + " " + quote(f.value) + lineBreak
	}
	var b strings.Builder
	b.WriteString(head + lineBreak)
	for _, sub := range f.sub {
		b.WriteString(sub.block(indent+2, lineBreak))
	}
	return b.String()
}

// flow writes the field within braces. The form is JSON's too: a document in braces may well be JSON.
func (f field) flow() string {
	if f.sub == nil {
		return quoteAlways(f.key) + ": " + quoteAlways(f.value)
	}
	subs := make([]string, 0, len(f.sub))
	for _, sub := range f.sub {
		subs = append(subs, sub.flow())
	}
	return quoteAlways(f.key) + ": {" + strings.Join(subs, ", ") + "}"
}

// splice is the text with the bytes between from and to replaced, parsed again.
func (s *source) splice(from, to int, text string) (*source, error) {
	data := make([]byte, 0, len(s.data)+len(text))
	data = append(append(append(data, s.data[:from]...), text...), s.data[to:]...)
	edited, err := parseSource(s.file, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errShape, err)
	}
	return edited, nil
}

// insert adds a field to a mapping: behind the entry after, or behind the last where after is nil. parent is the key that the mapping belongs to;
// nil means the top level.
func (s *source) insert(m *yaml.Node, parent, after *yaml.Node, f field) (*source, error) {
	if m.Kind != yaml.MappingNode {
		return nil, errShape
	}
	if m.Style&yaml.FlowStyle != 0 {
		return s.insertFlow(m, parent, f)
	}
	es := entries(m)
	e := es[len(es)-1]
	for _, candidate := range es {
		if candidate.key == after {
			e = candidate
		}
	}
	if !s.onOwnLine(e.key) {
		return nil, errShape
	}
	indent := e.key.Column - 1
	i, ok := s.lineEnd(s.entryEnd(e))
	if !ok {
		return nil, errShape
	}
	i = s.skipInnerComments(i, indent)
	return s.insertLines(i, f.block(indent, s.lineBreak(s.offset(e.key))))
}

// insertLines puts whole lines at i, the begin of a line or the end of the text; a text without a last line break stays one.
func (s *source) insertLines(i int, lines string) (*source, error) {
	if i == len(s.data) && i > s.starts[len(s.starts)-1] {
		lineBreak := "\n"
		if strings.HasSuffix(lines, "\r\n") {
			lineBreak = "\r\n"
		}
		lines = lineBreak + strings.TrimSuffix(lines, lineBreak)
	}
	return s.splice(i, i, lines)
}

// skipInnerComments goes over comment lines that are indented deeper than the key, and blank lines before them: they speak of the entry they follow.
func (s *source) skipInnerComments(i, indent int) int {
	for n := s.lineAt(i); n < len(s.starts) && (s.starts[n] >= i); n++ {
		text := s.line(n)
		rest := bytes.TrimLeft(text, " ")
		if len(bytes.TrimRight(rest, "\r\n")) == 0 {
			continue
		}
		if rest[0] != '#' || len(text)-len(rest) <= indent {
			break
		}
		i = s.starts[n] + len(text)
	}
	return i
}

func (s *source) insertFlow(m, parent *yaml.Node, f field) (*source, error) {
	begin := s.offset(m)
	if es := entries(m); len(es) > 0 {
		i := s.entryEnd(es[len(es)-1])
		return s.splice(i, i, ", "+f.flow())
	}
	open := s.skipSpace(s.skipProperties(begin))
	if open >= len(s.data) || s.data[open] != '{' {
		return nil, errShape
	}
	// "{}" alone at the end of its line is what an empty document looks like: it becomes a block, and remove makes it "{}" again.
	if open == begin && bytes.HasPrefix(s.data[open:], []byte("{}")) && s.root.Style&yaml.FlowStyle == 0 {
		if i, ok := s.lineEnd(open + 2); ok && parent != nil && s.onOwnLine(parent) && bytes.HasSuffix(s.data[:open], []byte(": ")) {
			if s.lineAt(open) == parent.Line-1 {
				lines := f.block(parent.Column+1, s.lineBreak(open))
				emptied, err := s.splice(open-1, open+2, "")
				if err != nil {
					return nil, err
				}
				return emptied.insertLines(emptied.skipInnerComments(i-3, parent.Column+1), lines)
			}
		}
	}
	if m == s.root && open == s.starts[s.lineAt(open)] && len(bytes.TrimRight(s.line(s.lineAt(open)), "\r\n")) == 2 {
		lineBreak := s.lineBreak(open)
		return s.splice(open, open+2, strings.TrimSuffix(f.block(0, lineBreak), lineBreak))
	}
	return s.splice(open+1, open+1, f.flow())
}

// remove takes an entry out of a mapping. parent is the key that the mapping belongs to; nil means the top level.
func (s *source) remove(m, parent *yaml.Node, e entry) (*source, error) {
	if m.Kind != yaml.MappingNode {
		return nil, errShape
	}
	if m.Style&yaml.FlowStyle != 0 {
		return s.removeFlow(m, e)
	}
	from, to, err := s.lines(e)
	if err != nil {
		return nil, err
	}
	if parent != nil || len(m.Content) > 2 { // the last of the top level leaves "{}" in its line, and what follows stays
		to = s.skipInnerComments(to, e.key.Column-1)
	}
	if len(m.Content) > 2 {
		if to == len(s.data) && to > s.starts[len(s.starts)-1] && from > 0 {
			from -= len(s.line(s.lineAt(from)-1)) - len(bytes.TrimRight(s.line(s.lineAt(from)-1), "\r\n")) // the text ends without a line break, and goes on to
		}
		return s.splice(from, to, "")
	}
	if parent == nil {
		text := s.data[from:to]
		return s.splice(from, from+len(bytes.TrimRight(text, "\r\n")), "{}")
	}
	colon := s.end(parent, 0)
	for colon < len(s.data) && s.data[colon] != ':' {
		colon++
	}
	empty := colon + 1
	if at := s.skipBlanks(empty); s.skipProperties(at) > at {
		empty = s.skipProperties(at)
	}
	if empty > from {
		return nil, errShape
	}
	if to == len(s.data) && to > s.starts[len(s.starts)-1] {
		from -= len(s.line(s.lineAt(from)-1)) - len(bytes.TrimRight(s.line(s.lineAt(from)-1), "\r\n"))
	}
	return s.splice(empty, to, " {}"+string(s.data[empty:from]))
}

func (s *source) removeFlow(m *yaml.Node, e entry) (*source, error) {
	es := entries(m)
	for i, candidate := range es {
		switch {
		case candidate.key != e.key:
		case i > 0:
			return s.splice(s.entryEnd(es[i-1]), s.entryEnd(e), "")
		case len(es) > 1:
			return s.splice(s.offset(e.key), s.offset(es[1].key), "")
		default:
			to := s.entryEnd(e)
			if comma := s.skipBlank(to); comma < len(s.data) && s.data[comma] == ',' {
				to = comma + 1
			}
			return s.splice(s.offset(e.key), to, "")
		}
	}
	return nil, errShape
}

// replace puts a string in a value's place.
func (s *source) replace(m *yaml.Node, e entry, v string) (*source, error) {
	if e.value.Kind != yaml.ScalarNode {
		return nil, errShape
	}
	from, to := s.offset(e.value), s.end(e.value, e.key.Column-1)
	if e.value.Value == "" && e.value.Style == 0 {
		return s.splice(from, to, " "+quote(v))
	}
	if m.Style&yaml.FlowStyle != 0 {
		return s.splice(from, to, quoteAlways(v))
	}
	tail := ""
	if to > from && to == s.starts[s.lineAt(to)] {
		tail = s.lineBreak(from) // a block scalar, which ends behind its line break
	}
	return s.splice(from, to, quote(v)+tail)
}

// replaceEntry puts a field in an entry's place.
func (s *source) replaceEntry(m *yaml.Node, e entry, f field) (*source, error) {
	if m.Style&yaml.FlowStyle != 0 {
		return s.splice(s.offset(e.key), s.entryEnd(e), f.flow())
	}
	from, to, err := s.lines(e)
	if err != nil {
		return nil, err
	}
	text := f.block(e.key.Column-1, s.lineBreak(from))
	if to == len(s.data) && to > s.starts[len(s.starts)-1] {
		text = strings.TrimRight(text, "\r\n")
	}
	return s.splice(from, to, text)
}

// lines is the range of whole lines that an entry of a block mapping takes.
func (s *source) lines(e entry) (from, to int, err error) {
	if !s.onOwnLine(e.key) {
		return 0, 0, errShape
	}
	to, ok := s.lineEnd(s.entryEnd(e))
	if !ok {
		return 0, 0, errShape
	}
	return s.starts[e.key.Line-1], to, nil
}

func (s *source) entryEnd(e entry) int {
	return max(s.end(e.key, e.key.Column-1), s.end(e.value, e.key.Column-1))
}

func (s *source) onOwnLine(n *yaml.Node) bool {
	return n.Line <= len(s.starts) && len(bytes.TrimLeft(s.data[s.starts[n.Line-1]:s.offset(n)], " ")) == 0
}

func (s *source) skipBlanks(i int) int {
	for i < len(s.data) && (s.data[i] == ' ' || s.data[i] == '\t') {
		i++
	}
	return i
}

// sameNode says whether two values are the same to a reader. The line break at the end of a block scalar does not count: the last line of a file
// gets one when another line follows.
func sameNode(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Style != b.Style || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return false
	}
	if a.Kind == yaml.AliasNode {
		return a.Value == b.Value && a.Alias.Kind == b.Alias.Kind && a.Alias.Value == b.Alias.Value && len(a.Alias.Content) == len(b.Alias.Content)
	}
	if a.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return strings.TrimSuffix(a.Value, "\n") == strings.TrimSuffix(b.Value, "\n")
	}
	if a.Value != b.Value {
		return false
	}
	for i := range a.Content {
		if !sameNode(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// sameEntries compares two lists of entries in their order.
func sameEntries(a, b []entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameNode(a[i].key, b[i].key) || !sameNode(a[i].value, b[i].value) {
			return false
		}
	}
	return true
}
