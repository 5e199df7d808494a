package infra

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// rule is what Brane requires of a mapping, depending on the value of one of its keys.
type rule struct {
	required []string // strings
	optional []string // strings or null
}

var (
	locationKinds = map[string]rule{
		"kube":  {[]string{"address", "callback_to", "namespace", "registry", "credentials"}, []string{"proxy_address", "mount_dfs"}},
		"local": {[]string{"callback_to", "network", "registry"}, []string{"address", "proxy_address", "mount_dfs"}},
		"vm":    {[]string{"address", "callback_to", "runtime", "registry", "credentials"}, []string{"proxy_address", "mount_dfs"}},
		"slurm": {[]string{"address", "callback_to", "runtime", "registry", "credentials"}, []string{"proxy_address", "mount_dfs"}},
	}
	mechanisms = map[string]rule{
		"config":          {[]string{"file"}, nil},
		"ssh-certificate": {[]string{"username", "certificate"}, []string{"passphrase"}},
		"ssh-password":    {[]string{"username", "password"}, nil},
	}
)

// checkInfra checks infra.yml against Brane's types. Keys that Brane does not know are accepted at every level.
func checkInfra(d *document) error {
	if d.root.Kind != yaml.MappingNode {
		return d.errorAt(d.root, "the file must be a mapping with the key locations")
	}
	if err := d.checkKeys(d.root, []string{"locations"}, "the file"); err != nil {
		return err
	}
	e, ok := findEntry(d.root, "locations")
	if !ok {
		return d.errorAt(d.root, "the key locations is missing; without locations, write: locations: {}")
	}
	m := resolveAlias(e.value)
	if m.Kind != yaml.MappingNode {
		return d.errorAt(e.key, "locations is not a mapping; without locations, write: locations: {}")
	}
	for _, location := range entriesOf(m) {
		if resolveAlias(location.key).Kind != yaml.ScalarNode {
			return d.errorAt(location.key, "the name of a location must be a string")
		}
		name := scalarText(location.key)
		if err := d.checkTagged(location, "kind", locationKinds, "location "+strconv.Quote(name)); err != nil {
			return err
		}
	}
	return nil
}

// checkTagged checks a mapping by the rule that the value of its key tag selects.
func (d *document) checkTagged(e entry, tag string, rules map[string]rule, what string) error {
	m := resolveAlias(e.value)
	if m.Kind != yaml.MappingNode {
		return d.errorAt(e.key, "%s is not a mapping", what)
	}
	if err := d.checkKeys(m, []string{tag}, what); err != nil {
		return err
	}
	kind, ok := findEntry(m, tag)
	if !ok {
		return d.errorAt(e.key, "missing %s in %s", tag, what)
	}
	if err := d.checkString(kind, what, false); err != nil {
		return err
	}
	r, ok := rules[scalarText(kind.value)]
	if !ok {
		return d.errorAt(kind.value, "unsupported %s %q in %s; Brane supports %s", tag, scalarText(kind.value), what, joinNames(rules))
	}
	if err := d.checkKeys(m, slices.Concat(r.required, r.optional), what); err != nil {
		return err
	}
	for _, key := range r.required {
		v, ok := findEntry(m, key)
		if !ok {
			return d.errorAt(e.key, "missing %s in %s", key, what)
		}
		var err error
		if key == "credentials" {
			err = d.checkTagged(v, "mechanism", mechanisms, "credentials of "+what)
		} else {
			err = d.checkString(v, what, false)
		}
		if err != nil {
			return err
		}
	}
	for _, key := range r.optional {
		if v, ok := findEntry(m, key); ok {
			if err := d.checkString(v, what, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkKeys refuses keys that are not strings and duplicate keys that Brane knows. Of duplicate unknown keys, Brane uses the last.
func (d *document) checkKeys(m *yaml.Node, known []string, what string) error {
	seen := map[string]bool{}
	for _, e := range entriesOf(m) {
		if resolveAlias(e.key).Kind != yaml.ScalarNode {
			return d.errorAt(e.key, "a key of %s is not a string", what)
		}
		key := scalarText(e.key)
		if seen[key] && slices.Contains(known, key) {
			return d.errorAt(e.key, "duplicate key %s in %s", key, what)
		}
		seen[key] = true
	}
	return nil
}

// checkString refuses a value that Brane does not read as a string, or as null if orNull.
func (d *document) checkString(e entry, what string, orNull bool) error {
	v := resolveAlias(e.value)
	if v.Kind != yaml.ScalarNode {
		return d.errorAt(e.value, "%s of %s must be a string", scalarText(e.key), what)
	}
	switch t := typeOf(v); {
	case t == "string" || t == "null" && orNull:
		return nil
	case t == "null":
		return d.errorAt(e.value, "%s of %s has no value", scalarText(e.key), what)
	default:
		return d.errorAt(e.value, "%s of %s must be a string, but without quotes it is read as type %s; put it in quotes", scalarText(e.key), what, t)
	}
}

// isNull reports whether Brane reads a node as null.
func isNull(n *yaml.Node) bool {
	n = resolveAlias(n)
	return n.Kind == yaml.ScalarNode && typeOf(n) == "null"
}

// stringAt returns the string at a key of a mapping; empty if there is none or it is null.
func stringAt(m *yaml.Node, key string) string {
	e, ok := findEntry(m, key)
	if !ok || resolveAlias(e.value).Kind != yaml.ScalarNode || isNull(e.value) {
		return ""
	}
	return scalarText(e.value)
}

// joinNames returns the names of rules as a list in a sentence.
func joinNames(rules map[string]rule) string {
	names := make([]string, 0, len(rules))
	for name := range rules {
		names = append(names, name)
	}
	slices.Sort(names)
	out := ""
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			out += " and "
		default:
			out += ", "
		}
		out += name
	}
	return out
}
