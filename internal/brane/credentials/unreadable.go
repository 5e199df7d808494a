package credentials

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// findUnreadable returns what Brane's readers refuse or read differently in a kubeconfig that this package can read: they are kube-rs with serde_yaml 0.8, read
// every entry, also those that nothing refers to, and know neither merge keys nor the booleans of YAML 1.1.
func findUnreadable(root *yaml.Node) []*FieldError {
	r := &braneReader{}
	r.checkNotation(root)
	r.checkExtensions("", root)
	r.checkBoolean("preferences", root, "preferences", "colors")
	r.checkExtensions("preferences", lookup(root, "preferences"))
	r.checkEntries(root, "clusters", "cluster", func(at string, cluster *yaml.Node) {
		r.require(at, cluster, "server")
		r.checkBoolean(at, cluster, "insecure-skip-tls-verify")
		r.checkEmpty(at, cluster, "certificate-authority", "certificate-authority-data", "tls-server-name", "proxy-url")
	})
	r.checkEntries(root, "users", "user", func(at string, user *yaml.Node) {
		r.checkEmpty(at, user, "token", "tokenFile", "client-certificate", "client-certificate-data", "client-key", "client-key-data", "username", "password")
		if plugin := lookup(user, "exec"); !isNull(plugin) {
			r.require(at+".exec", plugin, "command")
		}
		if provider := lookup(user, "auth-provider"); !isNull(provider) {
			r.require(at+".auth-provider", provider, "name", "config")
		}
	})
	r.checkEntries(root, "contexts", "context", func(at string, context *yaml.Node) {
		r.require(at, context, "cluster", "user")
	})
	return r.problems
}

// braneReader collects what is found, so that the user sees all of it.
type braneReader struct{ problems []*FieldError }

func (r *braneReader) addProblem(field, sentence string) {
	r.problems = append(r.problems, &FieldError{field, sentence})
}

// checkNotation looks for notations of YAML that Brane's readers do not support. Anchors are looked at where they are defined.
func (r *braneReader) checkNotation(n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!merge":
		r.addProblem("", fmt.Sprintf("line %d: it contains a merge key (<<), which Brane takes for the name of a key", n.Line))
	case n.Kind == yaml.ScalarNode && n.Tag == "!!binary":
		r.addProblem("", fmt.Sprintf("line %d: it contains a value with the tag !!binary, which Brane does not decode", n.Line))
	}
	for _, child := range n.Content {
		r.checkNotation(child)
	}
}

// checkEntries looks at each entry of a list: its name, and its mapping under another key.
func (r *braneReader) checkEntries(root *yaml.Node, list, key string, check func(at string, value *yaml.Node)) {
	entries := lookup(root, list)
	if entries == nil || entries.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range entries.Content {
		name := lookup(item, "name")
		if isNull(name) {
			r.addProblem(fmt.Sprintf("%s[%d]", list, i), "it has no name, without which Brane refuses the whole kubeconfig")
			continue
		}
		at := fmt.Sprintf("%s[%q]", list, name.Value)
		value := lookup(item, key)
		if isNull(value) {
			r.addProblem(at+"."+key, "it is not set, and Brane then refuses the whole kubeconfig, even if nothing refers to it")
			continue
		}
		check(at, value)
		r.checkExtensions(at+"."+key, value)
	}
}

func (r *braneReader) require(at string, m *yaml.Node, keys ...string) {
	for _, key := range keys {
		if isNull(lookup(m, key)) {
			r.addProblem(at+"."+key, "it is not set, and Brane then refuses the whole kubeconfig, even if nothing refers to it")
		}
	}
}

// checkEmpty reports keys with an empty string, which to Brane is a value like any other.
func (r *braneReader) checkEmpty(at string, m *yaml.Node, keys ...string) {
	for _, key := range keys {
		if value := lookup(m, key); value != nil && value.Kind == yaml.ScalarNode && value.Value == "" && value.ShortTag() == "!!str" {
			r.addProblem(at+"."+key, "it is an empty string, which Brane does not take for a missing value")
		}
	}
}

// checkBoolean reports a boolean that is one by YAML 1.1 only.
func (r *braneReader) checkBoolean(at string, m *yaml.Node, path ...string) {
	value := m
	for _, key := range path {
		value = lookup(value, key)
	}
	if isNull(value) || value.Value == "true" || value.Value == "false" {
		return
	}
	r.addProblem(at+"."+path[len(path)-1], "it is neither true nor false as Brane reads it")
}

// checkExtensions reports extensions that are not a list of named ones.
func (r *braneReader) checkExtensions(at string, m *yaml.Node) {
	field := "extensions"
	if at != "" {
		field = at + "." + field
	}
	extensions := lookup(m, "extensions")
	if isNull(extensions) {
		return
	}
	if extensions.Kind != yaml.SequenceNode {
		r.addProblem(field, "it is not a list, and Brane then refuses the whole kubeconfig")
		return
	}
	for i, extension := range extensions.Content {
		r.require(fmt.Sprintf("%s[%d]", field, i), extension, "name", "extension")
	}
}

// lookup returns the value of a key of a mapping; nil if there is none. It does not follow merge keys, as Brane does not.
func lookup(m *yaml.Node, key string) *yaml.Node {
	if m = resolve(m); m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if resolve(m.Content[i]).Value == key {
			return resolve(m.Content[i+1])
		}
	}
	return nil
}

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
