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

var secretsFormat = format{file: secretsFile, check: checkSecrets, empty: "the file is empty; without secrets it must be: {}"}

// Secrets is secrets.yml: a flat mapping of names to texts.
type Secrets struct{ *document }

// NewSecrets returns secrets.yml before anything is written: no bytes at all.
func NewSecrets() *Secrets { return &Secrets{&document{format: secretsFormat, starts: []int{0}}} }

// ParseSecrets reads secrets.yml under Brane's rules. The error is a [SyntaxError].
func ParseSecrets(data []byte) (*Secrets, error) {
	d, err := parseContent(secretsFormat, data)
	if err != nil {
		return nil, err
	}
	return &Secrets{d}, nil
}

func checkSecrets(d *document) error {
	if d.root.Kind != yaml.MappingNode {
		return d.errorAt(d.root, "the file must be a mapping of names to texts")
	}
	for _, e := range entries(d.root) {
		if resolve(e.key).Kind != yaml.ScalarNode {
			return d.errorAt(e.key, "a secret's name must be text")
		}
		if resolve(e.value).Kind != yaml.ScalarNode {
			return d.errorAt(e.value, "secret %q must be text", scalarText(e.key))
		}
	}
	return nil
}

// Value is a secret's text as Brane takes it: numbers and the like are their text too.
func (d *Secrets) Value(name string) (string, bool) {
	e, ok := d.findEntry(name)
	if !ok {
		return "", false
	}
	return scalarText(e.value), true
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
	edited, err := d.editEntry(name, stringNode(EncodeKubeconfig(kubeconfig)))
	if err != nil {
		return fmt.Errorf("write secret %q into %s: %w", name, secretsFile, err)
	}
	d.document = edited
	return nil
}

// Remove removes a secret if it is there. The last one leaves "{}".
func (d *Secrets) Remove(name string) error {
	edited, err := d.removeEntries(name)
	if err != nil {
		return fmt.Errorf("remove secret %q from %s: %w", name, secretsFile, err)
	}
	d.document = edited
	return nil
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
