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

// ErrNoSecret reports that secrets.yml has no entry of the name in a location's credentials. Brane then decodes the name itself as a kubeconfig.
var ErrNoSecret = errors.New("the secret does not exist")

// EncodingError reports why Brane cannot decode a secret as a kubeconfig in base64. It never contains the secret.
type EncodingError struct{ Reason string }

func (e *EncodingError) Error() string { return e.Reason }

var secretsFormat = format{file: secretsFile, check: checkSecrets, empty: "the file is empty; without secrets, write: {}"}

// Secrets is secrets.yml: a flat mapping of names to strings.
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
		return d.errorAt(d.root, "the file must be a mapping of names to strings")
	}
	for _, e := range entriesOf(d.root) {
		if resolveAlias(e.key).Kind != yaml.ScalarNode {
			return d.errorAt(e.key, "the name of a secret must be a string")
		}
		if resolveAlias(e.value).Kind != yaml.ScalarNode {
			return d.errorAt(e.value, "secret %q must be a string", scalarText(e.key))
		}
	}
	return nil
}

// Value returns a secret as Brane reads it: also numbers, booleans and null are strings.
func (d *Secrets) Value(name string) (string, bool) {
	e, ok := d.findEntry(name)
	if !ok {
		return "", false
	}
	return scalarText(e.value), true
}

// Kubeconfig returns a secret, decoded as Brane decodes it. The error is [ErrNoSecret] or an [EncodingError].
func (d *Secrets) Kubeconfig(name string) ([]byte, error) {
	v, ok := d.Value(name)
	if !ok {
		return nil, ErrNoSecret
	}
	return DecodeKubeconfig(v)
}

// SetKubeconfig writes a secret as one line of base64. A secret that already decodes to the kubeconfig keeps its bytes, such as wrapped lines.
func (d *Secrets) SetKubeconfig(name string, kubeconfig []byte) error {
	if problem := nameProblem(name, "secret name"); problem != "" {
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
	// encodedTwice is "apiVersion" in base64, with which the decoded value begins if a kubeconfig was encoded twice.
	encodedTwice = []byte("YXBpVmVyc2lvbj")
)

// EncodeKubeconfig encodes a kubeconfig for secrets.yml: base64 in the standard alphabet, in one line.
func EncodeKubeconfig(kubeconfig []byte) string { return base64.StdEncoding.EncodeToString(kubeconfig) }

// DecodeKubeconfig decodes a secret as Brane does: characters outside of the alphabet are dropped, and padding may be missing. Brane also drops the "-" and
// "_" of the URL-safe alphabet and gets garbage; here that is an [EncodingError], like everything that Brane cannot use.
func DecodeKubeconfig(s string) ([]byte, error) {
	if compact := strings.Join(strings.Fields(s), ""); strings.ContainsAny(compact, "-_") && urlSafe.MatchString(compact) {
		return nil, &EncodingError{"the value is base64 in the URL-safe alphabet; Brane reads the standard alphabet (+ and / instead of - and _)"}
	}
	if strings.Contains(s, "apiVersion:") || strings.Contains(s, "clusters:") {
		return nil, &EncodingError{"the value is a plain kubeconfig; Brane reads it base64-encoded"}
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
		return nil, &EncodingError{"the value is empty"}
	}
	if padding := len(padded) - len(bare); padding > 0 && len(padded)%4 != 0 {
		return nil, &EncodingError{"the value is not valid base64: its padding is wrong"}
	}
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(bare)
	switch {
	case err != nil:
		return nil, &EncodingError{"the value is not valid base64, or is several encodings joined together"}
	case bytes.HasPrefix(decoded, encodedTwice):
		return nil, &EncodingError{"the value is base64-encoded twice; Brane decodes it once"}
	case !utf8.Valid(decoded):
		return nil, &EncodingError{"the decoded value is not UTF-8, so it is not a kubeconfig"}
	}
	return decoded, nil
}
