package infra

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one key of a mapping with its value.
type entry struct{ key, value *yaml.Node }

// entriesOf returns the entries of a mapping; none for nil.
func entriesOf(m *yaml.Node) []entry {
	if m == nil {
		return nil
	}
	es := make([]entry, 0, len(m.Content)/2)
	for i := 0; i+1 < len(m.Content); i += 2 {
		es = append(es, entry{m.Content[i], m.Content[i+1]})
	}
	return es
}

// findEntry returns the last entry of a key, which is the one that counts.
func findEntry(m *yaml.Node, key string) (entry, bool) {
	es := entriesOf(m)
	for i := len(es) - 1; i >= 0; i-- {
		if scalarText(es[i].key) == key {
			return es[i], true
		}
	}
	return entry{}, false
}

// resolveAlias follows an alias to its anchor.
func resolveAlias(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// stringNode returns a scalar that every YAML reader takes for a string: plain if that is certain, otherwise in double quotes.
func stringNode(v string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
	if !isPlain(v) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// mappingNode returns a mapping of keys and values in turn.
func mappingNode(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: content}
}

// quoteNew returns a copy of a node in which all strings that the parser did not read are in double quotes, as in JSON.
func quoteNew(n *yaml.Node) *yaml.Node {
	c := *n
	if c.Line == 0 && c.Tag == "!!str" {
		c.Style = yaml.DoubleQuotedStyle
	}
	c.Content = nil
	for _, child := range n.Content {
		c.Content = append(c.Content, quoteNew(child))
	}
	return &c
}

// copyBlock returns a copy of a mapping in block style, whose keys can be set.
func copyBlock(m *yaml.Node) *yaml.Node {
	c := *m
	c.Style &^= yaml.FlowStyle
	c.Content = slices.Clone(m.Content)
	return &c
}

// setKey sets a key of a mapping. A new key comes after the key previous, or first if there is no such key.
func setKey(m *yaml.Node, previous, key string, value *yaml.Node) {
	at := 0
	for i := 0; i < len(m.Content); i += 2 {
		switch scalarText(m.Content[i]) {
		case key:
			value.HeadComment, value.LineComment = m.Content[i+1].HeadComment, m.Content[i+1].LineComment
			m.Content[i+1] = value
			return
		case previous:
			at = i + 2
		}
	}
	m.Content = slices.Insert(m.Content, at, stringNode(key), value)
}

// setOptional is setKey for a string; it removes the key if the string is empty.
func setOptional(m *yaml.Node, previous, key, value string) {
	if value != "" {
		setKey(m, previous, key, stringNode(value))
		return
	}
	*m = *withEntry(m, stringNode(key), nil)
}

// encodeLines returns a node as lines of YAML.
func encodeLines(n *yaml.Node) (string, error) {
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	e.CompactSeqIndent()
	err := errors.Join(e.Encode(n), e.Close())
	return b.String(), err
}

// withEntry returns a copy of a mapping with an entry added or replaced, or removed if value is nil.
func withEntry(m, key, value *yaml.Node) *yaml.Node {
	c := *m
	c.Content = slices.Clone(m.Content)
	for i := len(c.Content) - 2; i >= 0; i -= 2 {
		switch {
		case scalarText(c.Content[i]) != scalarText(key):
			continue
		case value == nil:
			c.Content = slices.Delete(c.Content, i, i+2)
		default:
			c.Content[i+1] = value
		}
		return &c
	}
	if value == nil {
		return &c
	}
	if len(c.Content) == 0 {
		c.Style &^= yaml.FlowStyle
	}
	c.Content = append(c.Content, key, value)
	return &c
}

// lastNode returns the node in which a value ends.
func lastNode(n *yaml.Node) *yaml.Node {
	for len(n.Content) > 0 {
		n = n.Content[len(n.Content)-1]
	}
	return n
}

// toLines returns a copy of a mapping that can be encoded in place of its lines: without the comments above its first key and below its values, which may
// be on other lines, and without folded scalars, to which the encoder adds line breaks.
func toLines(m *yaml.Node) *yaml.Node {
	c := copyForLines(m)
	if len(c.Content) > 0 {
		c.Content[0].HeadComment = ""
	}
	return c
}

func copyForLines(n *yaml.Node) *yaml.Node {
	c := *n
	c.FootComment = ""
	if c.Style&yaml.FoldedStyle != 0 {
		c.Style = c.Style&^yaml.FoldedStyle | yaml.LiteralStyle
	}
	c.Content = make([]*yaml.Node, 0, len(n.Content))
	for _, child := range n.Content {
		c.Content = append(c.Content, copyForLines(child))
	}
	return &c
}

// isSame reports whether two values are the same to Brane and to Go and, if exact, in style.
func isSame(a, b *yaml.Node, exact bool) bool { return isSameNode(a, b, exact, true) }

func isSameNode(a, b *yaml.Node, exact, follow bool) bool {
	switch {
	case a.Kind != b.Kind || a.ShortTag() != b.ShortTag() || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) || exact && a.Style != b.Style:
		return false
	case a.Kind == yaml.AliasNode:
		return a.Value == b.Value && (!follow || isSameNode(a.Alias, b.Alias, exact, false))
	case a.Kind == yaml.ScalarNode:
		return a.Value == b.Value && typeOf(a) == typeOf(b)
	}
	for i := range a.Content {
		if !isSameNode(a.Content[i], b.Content[i], exact, follow) {
			return false
		}
	}
	return true
}

func isSameEntry(a, b entry) bool {
	return isSame(a.key, b.key, true) && isSame(a.value, b.value, true)
}
