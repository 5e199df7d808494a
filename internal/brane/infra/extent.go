package infra

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// The parser says where a value begins and not where it ends. What follows finds the end in the text. It need not be perfect in every corner
// of YAML: whoever edits by it compares the result with the original afterwards and gives up where anything else has changed.

// end is the offset behind the last byte of a value. indent is the column, from 0, of the key that it belongs to.
func (s *source) end(n *yaml.Node, indent int) int {
	begin := s.offset(n)
	switch n.Kind {
	case yaml.AliasNode:
		return begin + 1 + len(n.Value)
	case yaml.ScalarNode:
		return s.scalarEnd(n, begin, indent)
	}
	last := begin
	for i, child := range n.Content {
		childIndent := child.Column - 1
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 1:
			childIndent = n.Content[i-1].Column - 1
		case n.Kind == yaml.SequenceNode:
			childIndent = n.Column - 1
		}
		last = max(last, s.end(child, childIndent))
	}
	if n.Style&yaml.FlowStyle == 0 {
		return last
	}
	open := s.skipSpace(s.skipProperties(begin))
	if open >= len(s.data) || s.data[open] != '{' && s.data[open] != '[' {
		return last // the pair in [key: value], which has no brackets of its own
	}
	i := max(last, open+1)
	for {
		i = s.skipSpace(i)
		if i >= len(s.data) {
			return len(s.data)
		}
		i++
		if c := s.data[i-1]; c == '}' || c == ']' {
			return i
		}
	}
}

func (s *source) scalarEnd(n *yaml.Node, begin, indent int) int {
	style := n.Style &^ yaml.TaggedStyle
	i := s.skipProperties(begin)
	if style == 0 && n.Value == "" {
		return i
	}
	i = s.skipSpace(i)
	switch style {
	case yaml.DoubleQuotedStyle:
		for i++; i < len(s.data) && s.data[i] != '"'; i++ {
			if s.data[i] == '\\' {
				i++
			}
		}
		return min(i+1, len(s.data))
	case yaml.SingleQuotedStyle:
		for i++; i < len(s.data); i++ {
			if s.data[i] != '\'' {
				continue
			}
			if i++; i >= len(s.data) || s.data[i] != '\'' {
				return i
			}
		}
		return len(s.data)
	case yaml.LiteralStyle, yaml.FoldedStyle:
		return s.blockEnd(i, indent)
	}
	// A plain scalar over several lines is folded: the same characters with other space between them.
	for v := []byte(n.Value); ; {
		v = bytes.TrimLeft(v, " \t\r\n\u0085\u2028\u2029")
		if len(v) == 0 {
			return i
		}
		i = s.skipBlank(i)
		_, size := utf8.DecodeRune(v)
		v = v[size:]
		i = min(i+size, len(s.data))
	}
}

// blockEnd is the end of a literal or folded scalar whose header is at i: behind the line break of its last line.
func (s *source) blockEnd(i, indent int) int {
	content, keep := 0, false
	line := s.lineAt(i)
	for _, c := range s.data[i+1:] {
		if c >= '1' && c <= '9' {
			content = indent + int(c-'0')
		} else if c == '+' {
			keep = true
		} else if c != '-' {
			break
		}
	}
	end := len(s.data)
	if line+1 < len(s.starts) {
		end = s.starts[line+1]
	}
	for n := line + 1; n < len(s.starts); n++ {
		text := s.line(n)
		behind := s.starts[n] + len(text)
		rest := bytes.TrimLeft(text, " ")
		blank := len(bytes.TrimRight(rest, "\r\n")) == 0
		column := len(text) - len(rest)
		if !blank && content == 0 {
			content = max(column, indent+1)
		}
		if !blank && column < content {
			break
		}
		if !blank || keep || content > 0 && column > content {
			end = behind
		}
	}
	return end
}

// skipProperties goes behind the anchor and the tag that a value may begin with.
func (s *source) skipProperties(i int) int {
	for at := i; at < len(s.data) && (s.data[at] == '&' || s.data[at] == '!'); at = s.skipSpace(i) {
		for i = at; i < len(s.data) && !bytes.ContainsRune([]byte(" \t\r\n,[]{}"), rune(s.data[i])); {
			i++
		}
	}
	return i
}

// skipSpace goes over blanks, line breaks and comments.
func (s *source) skipSpace(i int) int {
	for {
		i = s.skipBlank(i)
		if i >= len(s.data) || s.data[i] != '#' {
			return i
		}
		for i < len(s.data) && breakSize(s.data[i:]) == 0 {
			i++
		}
	}
}

// skipBlank goes over blanks and line breaks.
func (s *source) skipBlank(i int) int {
	for i < len(s.data) {
		switch size := breakSize(s.data[i:]); {
		case size > 0:
			i += size
		case s.data[i] == ' ' || s.data[i] == '\t':
			i++
		default:
			return i
		}
	}
	return i
}

// lineEnd is where the line ends on which a value ended at i: behind its line break. It is false where something else than a comment follows.
func (s *source) lineEnd(i int) (int, bool) {
	if i > 0 && i == s.starts[s.lineAt(i)] && i <= len(s.data) {
		return i, true // behind a block scalar
	}
	for i < len(s.data) && (s.data[i] == ' ' || s.data[i] == '\t') {
		i++
	}
	comment := i < len(s.data) && s.data[i] == '#'
	for i < len(s.data) {
		if size := breakSize(s.data[i:]); size > 0 {
			return i + size, true
		}
		if !comment {
			return 0, false
		}
		i++
	}
	return i, true
}
