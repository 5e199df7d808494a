package infra

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// ErrNoSecret says that secrets.yml has no entry of the name that a location's credentials give. Brane then takes the name itself for a kubeconfig.
var ErrNoSecret = errors.New("the secret is not there")

// EncodingError says why a secret is no kubeconfig in base64 as Brane decodes it. It never holds the secret's text.
type EncodingError struct{ Reason string }

func (e *EncodingError) Error() string { return e.Reason }

// Secrets is secrets.yml: a flat map of names and texts.
type Secrets struct{ source *source }

// NewSecrets is the document before anything is written: no bytes at all.
func NewSecrets() *Secrets { return &Secrets{&source{file: secretsFile, starts: []int{0}}} }

// ParseSecrets reads secrets.yml under Brane's rules; the error is a [SyntaxError].
func ParseSecrets(data []byte) (*Secrets, error) {
	d, err := openSecrets(data)
	if err != nil {
		return nil, err
	}
	if d.source.root == nil {
		return nil, &SyntaxError{File: secretsFile, Reason: "the file is empty; without secrets it must say {}"}
	}
	return d, nil
}

// openSecrets reads secrets.yml and takes an empty file for one that can be filled.
func openSecrets(data []byte) (*Secrets, error) {
	s, err := parseSource(secretsFile, data)
	if err != nil {
		return nil, err
	}
	d := &Secrets{s}
	if s.root == nil {
		return d, nil
	}
	return d, d.check()
}

func (d *Secrets) check() error {
	s := d.source
	if s.root.Kind != yaml.MappingNode {
		return s.errorAt(s.root, "the file must be a mapping of names and texts")
	}
	for _, e := range entries(s.root) {
		if resolve(e.key).Kind != yaml.ScalarNode {
			return s.errorAt(e.key, "a secret's name must be text")
		}
		if resolve(e.value).Kind != yaml.ScalarNode {
			return s.errorAt(e.value, "secret %s must be text", quoteAlways(text(e.key)))
		}
	}
	return nil
}

// Bytes is the document as it is to be stored.
func (d *Secrets) Bytes() []byte { return d.source.data }

// Names are the secrets' names in the order of the file.
func (d *Secrets) Names() []string {
	if d.source.root == nil {
		return nil
	}
	var names []string
	seen := map[string]bool{}
	for _, e := range entries(d.source.root) {
		if name := text(e.key); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// Value is a secret's text as Brane takes it: numbers and the like are their text too.
func (d *Secrets) Value(name string) (string, bool) {
	if d.source.root == nil {
		return "", false
	}
	e, ok := lookup(d.source.root, name)
	if !ok {
		return "", false
	}
	return text(e.value), true
}

// Kubeconfig is a secret decoded as Brane decodes it. The error is [ErrNoSecret] or an [EncodingError].
func (d *Secrets) Kubeconfig(name string) ([]byte, error) {
	v, ok := d.Value(name)
	if !ok {
		return nil, ErrNoSecret
	}
	return DecodeKubeconfig(v)
}

// SetKubeconfig writes a secret as one line of base64. Where its text already decodes to the same the bytes stay, wrapped lines included.
func (d *Secrets) SetKubeconfig(name string, kubeconfig []byte) error {
	if problem := nameProblem(name, "a secret's name"); problem != "" {
		return FieldError{"secret_name", problem}
	}
	if have, err := d.Kubeconfig(name); err == nil && bytes.Equal(have, kubeconfig) {
		return nil
	}
	edited, err := d.set(field{key: name, value: EncodeKubeconfig(kubeconfig)})
	if err != nil {
		return fmt.Errorf("write secret %q into %s: %w", name, secretsFile, err)
	}
	d.source = edited.source
	return nil
}

func (d *Secrets) set(f field) (*Secrets, error) {
	s := d.source
	if s.root == nil {
		data := string(s.data)
		if data != "" && !strings.HasSuffix(data, "\n") {
			data += "\n"
		}
		return openSecrets([]byte(data + f.block(0, "\n")))
	}
	e, exists := lookup(s.root, f.key)
	tries := []func() (*source, error){func() (*source, error) { return s.insert(s.root, nil, nil, f) }}
	if exists {
		tries = []func() (*source, error){
			func() (*source, error) { return s.replace(s.root, e, f.value) },
			func() (*source, error) { return s.replaceEntry(s.root, e, f) },
		}
	}
	var err error
	for _, try := range tries {
		var edited *source
		if edited, err = try(); err != nil {
			continue
		}
		var after *Secrets
		if after, err = d.safe(edited, f.key); err != nil {
			continue
		}
		if v, ok := after.Value(f.key); ok && v == f.value {
			return after, nil
		}
	}
	return nil, orShape(err)
}

// Remove takes a secret out; where it is not there nothing changes. The last one leaves "{}".
func (d *Secrets) Remove(name string) error {
	for d.count(name) > 0 {
		e, _ := lookup(d.source.root, name)
		s, err := d.source.remove(d.source.root, nil, e)
		if err == nil {
			var edited *Secrets
			if edited, err = d.safe(s, name); err == nil && edited.count(name) == d.count(name)-1 {
				d.source = edited.source
				continue
			}
		}
		return fmt.Errorf("remove secret %q from %s: %w", name, secretsFile, orShape(err))
	}
	return nil
}

func (d *Secrets) count(name string) int {
	if d.source.root == nil {
		return 0
	}
	n := 0
	for _, e := range entries(d.source.root) {
		if text(e.key) == name {
			n++
		}
	}
	return n
}

// safe is the edited document if Brane can read it and all but the secrets of that name is as before.
func (d *Secrets) safe(s *source, name string) (*Secrets, error) {
	edited := &Secrets{s}
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

func (d *Secrets) others(name string) []entry {
	var all []entry
	for _, e := range entries(d.source.root) {
		if text(e.key) != name {
			all = append(all, e)
		}
	}
	return all
}

var (
	urlSafe = regexp.MustCompile(`^[A-Za-z0-9_-]+={0,2}$`)
	// What a kubeconfig in base64 begins with when it is encoded once more: "YXBp…", that is "apiVersion".
	encodedTwice = []byte("YXBpVmVyc2lvbj")
)

// EncodeKubeconfig is a kubeconfig as secrets.yml has it: base64 in the standard alphabet, once, in one line.
func EncodeKubeconfig(kubeconfig []byte) string { return base64.StdEncoding.EncodeToString(kubeconfig) }

// DecodeKubeconfig decodes a text as Brane does: characters that are no base64 are dropped, padding may be missing. Brane drops the "-" and "_" of the
// URL-safe alphabet as well and gets garbage; here that is an [EncodingError], as everything that Brane cannot use.
func DecodeKubeconfig(s string) ([]byte, error) {
	if compact := strings.Join(strings.Fields(s), ""); strings.ContainsAny(compact, "-_") && urlSafe.MatchString(compact) {
		return nil, &EncodingError{"the text is base64 in the URL-safe alphabet; Brane reads the standard one (+ and / in place of - and _)"}
	}
	if strings.Contains(s, "apiVersion:") || strings.Contains(s, "clusters:") {
		return nil, &EncodingError{"the text is a kubeconfig as it is; Brane reads it encoded with base64"}
	}
	var kept strings.Builder
	for _, r := range s {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/' || r == '=' {
			kept.WriteRune(r)
		}
	}
	padded := kept.String()
	bare := strings.TrimRight(padded, "=")
	if bare == "" {
		return nil, &EncodingError{"the text is empty"}
	}
	if padding := len(padded) - len(bare); padding > 0 && len(padded)%4 != 0 {
		return nil, &EncodingError{"the text is no base64: its padding is wrong"}
	}
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(bare)
	switch {
	case err != nil:
		return nil, &EncodingError{"the text is no base64, or more than one piece of it"}
	case bytes.HasPrefix(decoded, encodedTwice):
		return nil, &EncodingError{"the text is encoded with base64 twice; Brane decodes it once"}
	case !utf8.Valid(decoded):
		return nil, &EncodingError{"the text decodes to something that is not UTF-8, so it is no kubeconfig"}
	}
	return decoded, nil
}
