// Package infra reads and edits the two configuration files from which a Brane instance of version 0.4 to 0.6 learns of clusters: infra.yml, in which each
// infrastructure is a location, and secrets.yml with their kubeconfigs. It reads them as Brane does, and keeps them in a directory or in a Kubernetes
// Secret. An edit replaces the lines of one entry: other entries, unknown keys, comments and order are kept, and a file that cannot be read is never
// written over.
//
// It knows Kubernetes only as a place to keep the two files in (package kube), does not read kubeconfigs, and knows nothing of Terraform.
package infra

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	infraFile    = "infra.yml"
	secretsFile  = "secrets.yml"
	secretPrefix = "s$" // a value in credentials that begins with it is the name of a secret
)

var infraFormat = format{
	file: infraFile, holder: "locations", check: checkInfra,
	empty: "the file is empty; without locations, write: locations: {}",
}

// Infra is infra.yml.
type Infra struct{ *document }

// NewInfra returns infra.yml before anything is written: no bytes at all.
func NewInfra() *Infra { return &Infra{&document{format: infraFormat, starts: []int{0}}} }

// ParseInfra reads infra.yml under Brane's rules. Like Brane, it rejects the whole file because of one bad location. The error is a [SyntaxError].
func ParseInfra(data []byte) (*Infra, error) {
	d, err := parseContent(infraFormat, data)
	if err != nil {
		return nil, err
	}
	return &Infra{d}, nil
}

// Location returns the location of a name. If two have the name, the last one counts, as for Brane.
func (d *Infra) Location(name string) (Location, bool) {
	e, ok := d.findEntry(name)
	if !ok {
		return Location{}, false
	}
	v := resolveAlias(e.value)
	l := Location{
		Name: name, Kind: stringAt(v, "kind"), Address: stringAt(v, "address"), CallbackTo: stringAt(v, "callback_to"), Namespace: stringAt(v, "namespace"),
		Registry: stringAt(v, "registry"), ProxyAddress: stringAt(v, "proxy_address"), MountDFS: stringAt(v, "mount_dfs"),
	}
	if secret, ok := strings.CutPrefix(d.secretReference(name), secretPrefix); ok {
		l.SecretName = secret
	}
	return l, true
}

// credentialsOf returns the credentials of a location; nil if it has none.
func (d *Infra) credentialsOf(name string) *yaml.Node {
	location, _ := d.findEntry(name)
	e, _ := findEntry(resolveAlias(location.value), "credentials")
	return resolveAlias(e.value)
}

// secretReference returns the value of file in a location's credentials; empty unless their mechanism is config.
func (d *Infra) secretReference(name string) string {
	c := d.credentialsOf(name)
	if stringAt(c, "mechanism") != "config" {
		return ""
	}
	return stringAt(c, "file")
}

// usersOf returns the locations whose credentials name a secret in any of their values.
func (d *Infra) usersOf(secret string) []string {
	var users []string
	for _, name := range d.Names() {
		for _, e := range entriesOf(d.credentialsOf(name)) {
			if resolveAlias(e.value).Kind == yaml.ScalarNode && scalarText(e.value) == secretPrefix+secret {
				users = append(users, name)
				break
			}
		}
	}
	return users
}

// Set writes a location: a new one after the others, an existing one in its place. A location that is already as wanted keeps its bytes; otherwise its
// lines are written again, with the keys that Brane does not know. The error joins [FieldError]s if the location is not valid.
func (d *Infra) Set(l Location) error {
	if problems := l.Validate(); problems != nil {
		errs := make([]error, 0, len(problems))
		for _, p := range problems {
			errs = append(errs, p)
		}
		return fmt.Errorf("location %q is not valid: %w", l.Name, errors.Join(errs...))
	}
	if have, ok := d.Location(l.Name); ok && have.Diff(l) == nil {
		return nil
	}
	e, _ := d.findEntry(l.Name)
	edited, err := d.editEntry(l.Name, l.toNode(e.value))
	if err != nil {
		return fmt.Errorf("write location %q into %s: %w", l.Name, infraFile, err)
	}
	d.document = edited
	return nil
}

// Remove removes a location if it is there. If two have the name, both are removed, as the hidden one would come back. The last location leaves
// "locations: {}", without which Brane does not start.
func (d *Infra) Remove(name string) error {
	edited, err := d.removeEntries(name)
	if err != nil {
		return fmt.Errorf("remove location %q from %s: %w", name, infraFile, err)
	}
	d.document = edited
	return nil
}
