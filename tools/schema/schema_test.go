package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
)

var update = flag.Bool("update", false, "write what the tests get as the golden files")

func TestADocumentHoldsEveryKindOfSchema(t *testing.T) {
	offered, err := read(t.Context(), providerserver.NewProtocol6(&stub{})())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(offered, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const golden = "testdata/stub.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the document differs from %s (-want +got):\n%s", golden, diff)
	}
}

func TestWhatHasNoDescriptionIsNamed(t *testing.T) {
	offered, err := read(t.Context(), providerserver.NewProtocol6(&stub{silent: true})())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"function shout.suffixes",
		"identity of stub_thing.name",
		"resource stub_thing.ports (its fields: only a nested attribute can describe them)",
		"resource stub_thing.rule",
		"resource stub_thing.rule.verbs",
		"resource stub_thing.size.width",
	}
	if got := undescribed(offered); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestADocumentIsWrittenOnlyWhenAllIsDescribed(t *testing.T) {
	for name, tt := range map[string]struct {
		provider *stub
		want     string
	}{
		"everything is described": {&stub{}, ""},
		"six things are not": {&stub{silent: true}, "without a description:\n" +
			"  function shout.suffixes\n  identity of stub_thing.name\n" +
			"  resource stub_thing.ports (its fields: only a nested attribute can describe them)\n  resource stub_thing.rule\n" +
			"  resource stub_thing.rule.verbs\n  resource stub_thing.size.width"},
		"the provider answers with an error": {&stub{broken: true}, "read the provider's schemas: the provider returned errors: "},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := write(t.Context(), providerserver.NewProtocol6(tt.provider)(), &out)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(out.String(), `{"format_version":"1.0","provider_schemas":{"brane":{"provider":{`) {
					t.Errorf("the document begins with %.80s", out.String())
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s…", err, tt.want)
			}
			if out.Len() > 0 {
				t.Errorf("%d bytes were written beside the error", out.Len())
			}
		})
	}
}
