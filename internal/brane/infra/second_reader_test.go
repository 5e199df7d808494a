package infra

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// asBraneReads replaces the characters that Go's parser takes for line breaks or for a mark, and Brane's for text, by a letter.
var asBraneReads = strings.NewReplacer("\u0085", "x", "\u2028", "x", "\u2029", "x", "\uFEFF", "x")

// FuzzSecondReader inserts such characters into files: what the provider accepts and edits must be the same to a reader that takes them for text.
func FuzzSecondReader(f *testing.F) {
	for _, document := range seeds(f, "infra/*.yml") {
		for _, odd := range []string{"\u0085", "\u2028", "\u2029", "\uFEFF", "\r", "\r\n"} {
			for _, at := range []uint{0, 7, 20, 60, uint(len(document))} {
				f.Add(document, odd, at)
			}
		}
	}
	f.Fuzz(func(t *testing.T, document []byte, odd string, at uint) {
		if !strings.Contains("\u0085 \u2028 \u2029 \uFEFF \r\n", odd) {
			return
		}
		at = min(at, uint(len(document)))
		text := string(document[:at]) + odd + string(document[at:])
		d, err := ParseInfra([]byte(text))
		if err != nil {
			return
		}
		before := readLocations(t, asBraneReads.Replace(text))
		if err := d.Set(berlin); err != nil {
			return
		}
		after := readLocations(t, asBraneReads.Replace(string(d.Bytes())))
		if after[berlin.Name] == nil {
			t.Errorf("the second reader does not find the new location in %q", d.Bytes())
		}
		for name := range before {
			if name != berlin.Name && after[name] == nil {
				t.Errorf("the second reader finds %q only before the edit: %q", name, d.Bytes())
			}
		}
	})
}

func readLocations(t *testing.T, text string) map[string]any {
	t.Helper()
	var file struct {
		Locations map[string]any `yaml:"locations"`
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil && !strings.Contains(err.Error(), "already defined") {
		t.Errorf("the second reader refuses %q: %v", text, err)
	}
	return file.Locations
}
