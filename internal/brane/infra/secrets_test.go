package infra

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func parseSecrets(t testing.TB, data []byte) *Secrets {
	t.Helper()
	d, err := ParseSecrets(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReadsTheGoldenSecret(t *testing.T) {
	golden := read(t, "secrets/golden.yml")
	kubeconfig := read(t, "kubeconfig.yml")
	wrapped, _ := parseSecrets(t, golden).Value("kube")
	line := base64.StdEncoding.EncodeToString(kubeconfig)
	for name, document := range map[string]string{
		"wrapped":          string(golden),
		"in one line":      "kube: " + line + "\n",
		"without padding":  "kube: " + strings.TrimRight(line, "=") + "\n",
		"in quotes":        `kube: "` + line + `"`,
		"folded":           "kube: >-\n  " + strings.ReplaceAll(strings.TrimSpace(wrapped), "\n", "\n  ") + "\n",
		"with odd signs":   "kube: '" + line[:20] + " *.?-" + line[20:] + "'\n",
		"the second of it": "kube: x\nkube: " + line + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := parseSecrets(t, []byte(document))
			got, err := d.Kubeconfig("kube")
			if err != nil || !bytes.Equal(got, kubeconfig) {
				t.Errorf("%v, got\n%s", err, got)
			}
			if err := d.SetKubeconfig("kube", kubeconfig); err != nil || string(d.Bytes()) != document {
				t.Errorf("the same kubeconfig changed the document (%v) to\n%s", err, d.Bytes())
			}
		})
	}
}

func TestReadsSecretsAsStrings(t *testing.T) {
	d := parseSecrets(t, read(t, "secrets/crowded.yml"))
	for name, want := range map[string]string{
		"old": "YXBpVmVyc2lvbjog djEK", "number": "12", "nothing": "null", "empty": "~", "quoted key": "it's",
		"over-lines": "plain text over lines", "anchor": "text", "alias": "text", "last": "\n# no comment\nmore\n",
	} {
		if got, ok := d.Value(name); !ok || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, err := d.Kubeconfig("gone"); !errors.Is(err, ErrNoSecret) {
		t.Errorf("got %v", err)
	}
}

func TestRefusesSecretsThatBraneRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ document, want string }{
		"nothing":        {"", "secrets.yml: the file is empty; without secrets, write: {}"},
		"a list":         {"- a\n", "secrets.yml:1:1: the file must be a mapping of names to strings"},
		"a nested value": {"a: b\nkube:\n  file: x\n", `secrets.yml:3:3: secret "kube" must be a string`},
		"a nested key":   {"a: b\n[a]: x\n", `secrets.yml:2:1: the name of a secret must be a string`},
		"two documents":  {"a: b\n---\na: b\n", "secrets.yml:2:1: a second YAML document begins here; Brane only reads files with one document"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseSecrets([]byte(tt.document)); err == nil || err.Error() != tt.want || !errors.Is(err, ErrUnparsable) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestDecodeKubeconfigErrors(t *testing.T) {
	once := EncodeKubeconfig(read(t, "kubeconfig.yml"))
	urlSafe := base64.URLEncoding.EncodeToString([]byte("apiVersion: v1 # ???>>>~~~"))
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":            {"", "the value is empty"},
		"the kubeconfig":     {string(read(t, "kubeconfig.yml")), "the value is a plain kubeconfig; Brane reads it base64-encoded"},
		"encoded twice":      {EncodeKubeconfig([]byte(once)), "the value is base64-encoded twice; Brane decodes it once"},
		"URL-safe":           {urlSafe, "the value is base64 in the URL-safe alphabet; Brane reads the standard alphabet (+ and / instead of - and _)"},
		"two pieces":         {"YQ==YQ==", "the value is not valid base64, or is several encodings joined together"},
		"bits left over":     {"YR==", "the value is not valid base64, or is several encodings joined together"},
		"padding too long":   {"YWI==", "the value is not valid base64: its padding is wrong"},
		"an unresolved name": {"s$k8s-config", "the decoded value is not UTF-8, so it is not a kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeKubeconfig(tt.text)
			var encoding *EncodingError
			if !errors.As(err, &encoding) || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestEditsOneSecret(t *testing.T) {
	kubeconfig := read(t, "kubeconfig.yml")
	for name, document := range seeds(t, "secrets/*.yml") {
		t.Run(name, func(t *testing.T) {
			d := parseSecrets(t, document)
			if err := d.SetKubeconfig("mine", kubeconfig); err != nil {
				t.Fatal(err)
			}
			if got, err := parseSecrets(t, d.Bytes()).Kubeconfig("mine"); err != nil || !bytes.Equal(got, kubeconfig) {
				t.Errorf("%v, read back\n%s", err, got)
			}
			if err := d.Remove("mine"); err != nil {
				t.Fatal(err)
			}
			wantRestored(t, parseSecrets(t, document).document, d.document)
		})
	}
}

func TestReplacesAndRemovesAnySecret(t *testing.T) {
	document := read(t, "secrets/crowded.yml")
	for _, name := range parseSecrets(t, document).Names() {
		t.Run(name, func(t *testing.T) {
			d := parseSecrets(t, document)
			others := len(d.Names()) - 1
			document, err := d.editEntry(name, stringNode("YQ=="))
			edited := &Secrets{document}
			if name == "anchor" {
				if err == nil { // its alias would refer to nothing
					t.Errorf("got\n%s", edited.Bytes())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := edited.Value(name); v != "YQ==" || len(edited.Names()) != others+1 {
				t.Errorf("got\n%s", edited.Bytes())
			}
			if err := edited.Remove(name); err != nil {
				t.Fatal(err)
			}
			if names := parseSecrets(t, edited.Bytes()).Names(); len(names) != others {
				t.Errorf("left %q", names)
			}
		})
	}
}

func TestTheLastSecretLeavesAnEmptyMapping(t *testing.T) {
	d := NewSecrets()
	if err := d.SetKubeconfig("12", []byte("a")); err != nil {
		t.Fatal(err)
	}
	if got := string(d.Bytes()); got != "\"12\": YQ==\n" {
		t.Errorf("got %q", got)
	}
	if err := d.Remove("12"); err != nil || string(d.Bytes()) != "{}\n" {
		t.Errorf("%v, left %q", err, d.Bytes())
	}
}

// FuzzParseSecrets checks that setting a secret of ours and removing it again restores the user's bytes.
func FuzzParseSecrets(f *testing.F) {
	for _, document := range seeds(f, "secrets/*.yml") {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := ParseSecrets(document)
		if err != nil {
			if !errors.Is(err, ErrUnparsable) {
				t.Errorf("%v is no ErrUnparsable", err)
			}
			return
		}
		for _, name := range d.Names() {
			if _, err := d.Kubeconfig(name); err != nil {
				var encoding *EncodingError
				if !errors.As(err, &encoding) {
					t.Errorf("%v is no EncodingError", err)
				}
			}
		}
		if _, exists := d.Value("mine"); exists || d.SetKubeconfig("mine", []byte("apiVersion: v1\n")) != nil {
			return
		}
		if err := d.Remove("mine"); err != nil {
			t.Fatalf("%v\n%q", err, document)
		}
		wantRestored(t, parseSecrets(t, document).document, d.document)
	})
}

// FuzzDecodeKubeconfig checks that an encoded kubeconfig is decoded to the same text, however its lines are wrapped, and that an error never contains the
// secret.
func FuzzDecodeKubeconfig(f *testing.F) {
	f.Add(read(f, "kubeconfig.yml"), "")
	f.Add([]byte("apiVersion: v1\n"), "YQ==YQ==")
	f.Add([]byte("a"), "s$k8s-config")
	f.Fuzz(func(t *testing.T, kubeconfig []byte, secret string) {
		encoded := EncodeKubeconfig(kubeconfig)
		if decoded, err := DecodeKubeconfig(strings.Join(strings.SplitAfter(encoded, "A"), "\n ")); utf8.Valid(kubeconfig) && len(kubeconfig) > 0 &&
			!bytes.HasPrefix(kubeconfig, encodedTwice) && (err != nil || !bytes.Equal(decoded, kubeconfig)) {
			t.Errorf("%q became %q, %v", kubeconfig, decoded, err)
		}
		if _, err := DecodeKubeconfig(secret); err != nil && len(secret) > 20 && strings.Contains(err.Error(), secret) {
			t.Errorf("the error contains the secret: %v", err)
		}
	})
}
