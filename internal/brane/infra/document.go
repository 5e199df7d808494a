// Package infra is how a Brane instance of version 0.4 to 0.6 learns of clusters: infra.yml with its locations and secrets.yml with their
// kubeconfigs, read as Brane reads them and edited in place, and the stores that hold the two. Editing changes the bytes of one entry; other
// locations, unknown keys, comments and order stay as they are, and what cannot be read is never written over.
//
// It knows Kubernetes only as a place to keep the two documents in (package kube), does not look into kubeconfigs, and knows nothing of Terraform.
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
	secretPrefix = "s$" // what begins with it in credentials is the name of a secret
)

// Infra is infra.yml.
type Infra struct{ source *source }

// NewInfra is the document before anything is written: no bytes at all.
func NewInfra() *Infra { return &Infra{&source{file: infraFile, starts: []int{0}}} }

// ParseInfra reads infra.yml under Brane's rules. Brane rejects the whole file for one bad location, and so does this: the error is a [SyntaxError].
func ParseInfra(data []byte) (*Infra, error) {
	d, err := openInfra(data)
	if err != nil {
		return nil, err
	}
	if d.source.root == nil {
		return nil, &SyntaxError{File: infraFile, Reason: "the file is empty; without locations it must say locations: {}"}
	}
	return d, nil
}

// openInfra reads infra.yml and takes an empty file for one that can be filled.
func openInfra(data []byte) (*Infra, error) {
	s, err := parseSource(infraFile, data)
	if err != nil {
		return nil, err
	}
	d := &Infra{s}
	if s.root == nil {
		return d, nil
	}
	return d, d.check()
}

// Bytes is the document as it is to be stored.
func (d *Infra) Bytes() []byte { return d.source.data }

// Names are the locations' names in the order of the file.
func (d *Infra) Names() []string {
	_, m := d.locations()
	if m == nil {
		return nil
	}
	var names []string
	seen := map[string]bool{}
	for _, e := range entries(m) {
		if name := text(e.key); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// Location finds a location by its name. Where a name stands twice the last counts, as for Brane.
func (d *Infra) Location(name string) (Location, bool) {
	_, m := d.locations()
	if m == nil {
		return Location{}, false
	}
	e, ok := lookup(m, name)
	if !ok {
		return Location{}, false
	}
	v := resolve(e.value)
	l := Location{
		Name: name, Kind: stringAt(v, "kind"), Address: stringAt(v, "address"), CallbackTo: stringAt(v, "callback_to"), Namespace: stringAt(v, "namespace"),
		Registry: stringAt(v, "registry"), ProxyAddress: stringAt(v, "proxy_address"), MountDFS: stringAt(v, "mount_dfs"),
	}
	if secret, ok := strings.CutPrefix(d.credential(name), secretPrefix); ok {
		l.SecretName = secret
	}
	return l, true
}

// credential is the file value of a location's credentials; empty where the mechanism is another than config.
func (d *Infra) credential(name string) string {
	_, m := d.locations()
	if m == nil {
		return ""
	}
	e, ok := lookup(m, name)
	if !ok {
		return ""
	}
	c, ok := lookup(resolve(e.value), "credentials")
	if !ok {
		return ""
	}
	v := resolve(c.value)
	if stringAt(v, "mechanism") != "config" {
		return ""
	}
	return stringAt(v, "file")
}

// usersOf are the locations whose credentials name a secret, in any of their values.
func (d *Infra) usersOf(secret string) []string {
	_, m := d.locations()
	if m == nil {
		return nil
	}
	var users []string
	for _, name := range d.Names() {
		e, _ := lookup(m, name)
		c, ok := lookup(resolve(e.value), "credentials")
		if !ok {
			continue
		}
		for _, value := range entries(resolve(c.value)) {
			if resolve(value.value).Kind == yaml.ScalarNode && text(value.value) == secretPrefix+secret {
				users = append(users, name)
				break
			}
		}
	}
	return users
}

// Set writes a location: a new one behind the others, an existing one where it stands. What is already as wanted keeps its bytes,
// and so do keys that Brane does not know. The error joins [FieldError]s where the location is not valid.
func (d *Infra) Set(l Location) error {
	if problems := l.Validate(); problems != nil {
		errs := make([]error, 0, len(problems))
		for _, p := range problems {
			errs = append(errs, p)
		}
		return fmt.Errorf("location %q is not valid: %w", l.Name, errors.Join(errs...))
	}
	edited, err := d.set(l)
	if err != nil {
		return fmt.Errorf("write location %q into %s: %w", l.Name, infraFile, err)
	}
	d.source = edited.source
	return nil
}

func (d *Infra) set(l Location) (*Infra, error) {
	parent, m := d.locations()
	if m == nil {
		data := string(d.source.data)
		if data != "" && !strings.HasSuffix(data, "\n") {
			data += "\n"
		}
		return openInfra([]byte(data + field{key: "locations", sub: []field{l.fields()}}.block(0, "\n")))
	}
	e, exists := lookup(m, l.Name)
	tries := []func() (*source, error){func() (*source, error) { return d.source.insert(m, parent, nil, l.fields()) }}
	if exists {
		tries = []func() (*source, error){
			func() (*source, error) { return d.update(l) },
			func() (*source, error) { return d.source.replaceEntry(m, e, l.fields()) },
		}
	}
	var err error
	for _, try := range tries {
		var s *source
		if s, err = try(); err != nil {
			continue
		}
		var edited *Infra
		if edited, err = d.safe(s, l.Name); err != nil {
			continue
		}
		if have, ok := edited.Location(l.Name); ok && have.Diff(l) == nil {
			return edited, nil
		}
	}
	return nil, orShape(err)
}

// update brings the fields of an existing location to their values one by one.
func (d *Infra) update(l Location) (*source, error) {
	s := d.source
	find := func() (*yaml.Node, *yaml.Node) {
		_, m := (&Infra{s}).locations()
		e, _ := lookup(m, l.Name)
		return e.key, e.value
	}
	if _, v := find(); v.Kind != yaml.MappingNode {
		return nil, errShape
	}
	previous := "kind"
	var credentials []field
	for _, f := range l.fields().sub {
		if f.sub != nil {
			credentials = f.sub
			continue
		}
		parent, v := find()
		edited, err := s.setScalar(v, parent, previous, f)
		if err != nil {
			return nil, err
		}
		s, previous = edited, f.key
	}
	for _, f := range []field{{key: "proxy_address", value: l.ProxyAddress}, {key: "mount_dfs", value: l.MountDFS}} {
		parent, v := find()
		if e, ok := lookup(v, f.key); ok && f.value == "" && !isNull(e.value) {
			edited, err := s.remove(v, parent, e)
			if err != nil {
				return nil, err
			}
			s = edited
		}
	}
	for _, f := range credentials {
		_, v := find()
		c, ok := lookup(v, "credentials")
		if !ok || c.value.Kind != yaml.MappingNode || stringAt(c.value, "mechanism") != "config" {
			return nil, errShape
		}
		edited, err := s.setScalar(c.value, c.key, "mechanism", f)
		if err != nil {
			return nil, err
		}
		s = edited
	}
	return s, nil
}

// setScalar gives a key of a mapping a string, behind the key previous where it is new.
func (s *source) setScalar(m, parent *yaml.Node, previous string, f field) (*source, error) {
	e, ok := lookup(m, f.key)
	if !ok {
		after, _ := lookup(m, previous)
		return s.insert(m, parent, after.key, f)
	}
	if v := resolve(e.value); v.Kind == yaml.ScalarNode && typeOf(v) == "string" && text(v) == f.value {
		return s, nil
	}
	return s.replace(m, e, f.value)
}

// Remove takes a location out; where it is not there nothing changes. The last one leaves "locations: {}", without which Brane does not start.
// A name that stands twice goes twice: else the hidden one would come back.
func (d *Infra) Remove(name string) error {
	for {
		parent, m := d.locations()
		if m == nil {
			return nil
		}
		e, ok := lookup(m, name)
		if !ok {
			return nil
		}
		s, err := d.source.remove(m, parent, e)
		if err == nil {
			var edited *Infra
			if edited, err = d.safe(s, name); err == nil && edited.count(name) == d.count(name)-1 {
				d.source = edited.source
				continue
			}
		}
		return fmt.Errorf("remove location %q from %s: %w", name, infraFile, orShape(err))
	}
}

func (d *Infra) count(name string) int {
	n := 0
	if _, m := d.locations(); m != nil {
		for _, e := range entries(m) {
			if text(e.key) == name {
				n++
			}
		}
	}
	return n
}

// safe is the edited document if Brane can read it and all but the locations of that name is as before.
func (d *Infra) safe(s *source, name string) (*Infra, error) {
	edited := &Infra{s}
	if s.root == nil {
		return nil, errShape
	}
	if err := edited.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", errShape, err)
	}
	if !sameEntries(d.others(name), edited.others(name)) {
		return nil, errShape
	}
	return edited, nil
}

func orShape(err error) error {
	if err == nil {
		return errShape
	}
	return err
}

// others is everything in the document but the locations of that name.
func (d *Infra) others(name string) []entry {
	var all []entry
	if d.source.root == nil {
		return nil
	}
	for _, e := range entries(d.source.root) {
		if text(e.key) != "locations" {
			all = append(all, e)
			continue
		}
		for _, location := range entries(resolve(e.value)) {
			if text(location.key) != name {
				all = append(all, location)
			}
		}
	}
	return all
}

// locations is the mapping of the locations with its key; nil in a document without content. An alias is followed: it cannot be told from the mapping
// when edited, and the comparison afterwards sees when an anchor has other users.
func (d *Infra) locations() (key, m *yaml.Node) {
	if d.source.root == nil {
		return nil, nil
	}
	e, ok := lookup(d.source.root, "locations")
	if !ok {
		return nil, nil
	}
	return e.key, resolve(e.value)
}
