package packagefile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestParse(t *testing.T) {
	for name, want := range map[string]Package{
		"filesystem.container.yml": {
			Name: "filesystem", Version: "1.0.0", Kind: "ecu", Types: map[string]Type{},
			Functions: map[string]Function{"write": {Returns: "integer", Parameters: []Parameter{{Name: "name", Type: "string"}, {Name: "contents", Type: "string"}}}},
		},
		"early.container.yml": {
			Name: "survey", Version: "1.2.0-rc.1", Kind: "compute", Owners: []string{"Ada"}, Description: "Looks at the sky.\n",
			Functions: map[string]Function{
				"look": {Description: "Takes a picture.", Returns: "Field", Parameters: []Parameter{
					{Name: "at", Type: "real[]"}, {Name: "key", Type: "string", Secret: true}, {Name: "zoom", Type: "integer", Optional: true},
				}},
				"rest": {Returns: "unit", Parameters: []Parameter{}},
			},
			Types: map[string]Type{"Field": {Properties: []Property{{"title", "string"}, {"image", "File"}}}},
		},
		"github.package.yml": {
			Name: "github", Version: "1.0.0", Kind: "oas",
			Functions: map[string]Function{"getreadme": {Returns: "Readme", Parameters: []Parameter{{Name: "owner", Type: "string"}, {Name: "repo", Type: "string"}}}},
			Types:     map[string]Type{"Readme": {Properties: []Property{{"content", "string"}}}},
		},
		"survey.container.yml": {
			Name: "survey_tools", Version: "1.0.0", Kind: "remote",
			Functions: map[string]Function{
				"ping": {Returns: "string", Parameters: []Parameter{}},
				"fetch": {Returns: "File[]", Parameters: []Parameter{
					{Name: "files", Type: "File[]"}, {Name: "target", Type: "Directory"}, {Name: "token", Type: "string", Secret: true},
				}},
				"grid": {Returns: "IntermediateResult", Parameters: []Parameter{{Name: "input", Type: "int[][]"}, {Name: "frame", Type: "Frame"}, {Name: "data", Type: "Data"}}},
			},
			Types: map[string]Type{"Frame": {Properties: []Property{{"label", "string"}, {"is_good", "bool"}, {"samples", "integer"}, {"target", "Directory"}}}},
		},
		"netcat.local_container.yml": {
			Name: "netcat", Kind: "ecu", Detached: true, Types: map[string]Type{}, Functions: map[string]Function{"start": {Returns: "unit", Parameters: []Parameter{}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(read(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const head = "name: a\nversion: 1.0.0\nkind: ecu\n"
	const entry = "entrypoint: {kind: task, exec: a}\n"
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":                         {"", "the file is empty"},
		"only a comment":                  {"# later\n", "the file is empty"},
		"null":                            {"~\n", "the file is empty"},
		"a list":                          {"[1]", "line 1: cannot unmarshal !!seq into a mapping"},
		"an action that is a list":        {head + entry + "actions: {f: [1]}\n", "line 5: cannot unmarshal !!seq into a mapping"},
		"actions that are a list":         {head + entry + "actions: [f]\n", "line 5: cannot unmarshal !!seq into a mapping"},
		"inputs that are a mapping":       {head + entry + "actions: {f: {input: {a: b}}}\n", "line 5: cannot unmarshal !!map into a list"},
		"no YAML":                         {"a: [", "line 1: did not find expected node content"},
		"two documents":                   {head + "actions: {}\n" + entry + "---\na: 1\n", "the file contains more than one YAML document"},
		"no name":                         {"kind: ecu\n", "name is missing"},
		"no kind":                         {"name: a\n", "kind is missing"},
		"a version that is none":          {"name: a\nkind: ecu\nversion: one\n", `version "one" is not a semantic version such as 1.0.0`},
		"a version of two parts":          {"name: a\nkind: ecu\nversion: 1.0\n", `version "1.0" is not a semantic version such as 1.0.0`},
		"no functions":                    {head, "the file has neither functions (as in package.yml) nor actions (as in container.yml)"},
		"functions and actions":           {head + "functions: {}\nactions: {}\n", "the file has both functions (as in package.yml) and actions (as in container.yml)"},
		"functions without a version":     {"name: a\nkind: ecu\nfunctions: {}\n", "version is missing"},
		"no entry point":                  {head + "actions: {}\n", "entrypoint with kind and exec is missing"},
		"an entry point without a kind":   {head + "actions: {}\nentrypoint: {exec: a}\n", "entrypoint with kind and exec is missing"},
		"an empty action":                 {head + entry + "actions: {f: }\n", `action "f" is empty`},
		"an input without a type":         {head + entry + "actions: {f: {input: [{name: a}]}}\n", `action "f": input: entry 0 has no name or no type`},
		"an output without a name":        {head + entry + "actions: {f: {output: [{type: real}]}}\n", `action "f": output: entry 0 has no name or no type`},
		"two inputs of one name":          {head + entry + "actions: {f: {input: [{name: a, type: real}, {name: a, type: real}]}}\n", `action "f": input: duplicate entry "a"`},
		"a function that returns nothing": {head + "functions: {f: {parameters: []}}\n", `function "f" has no parameters or no returnType`},
		"a bad parameter":                 {head + "functions: {f: {returnType: unit, parameters: [{}]}}\n", `function "f": entry 0 has no name or no type`},
		"a type without a name":           {head + entry + "actions: {}\ntypes: {T: {}}\n", `type "T" has no name`},
		"a property without a type":       {head + entry + "actions: {}\ntypes: {T: {name: T, properties: [{name: a}]}}\n", `type "T": entry 0 has no name or no type`},
		"too much":                        {"# " + strings.Repeat("x", MaxSize), "the file has 1048578 bytes, and a package file may have at most 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.text)); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// FuzzParse checks that a package is complete, that every parameter is found by its name, and that an error is one line without Go types.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if message := err.Error(); strings.ContainsAny(message, "\n\r") || strings.Contains(message, "packagefile.") && !bytes.Contains(text, []byte("packagefile.")) {
				t.Errorf("an error with a line break or a Go type: %q", message)
			}
			return
		}
		if p.Name == "" && !bytes.Contains(text, []byte("name")) || p.Functions == nil || p.Types == nil {
			t.Errorf("incomplete: %+v", p)
		}
		for name, function := range p.Functions {
			for _, parameter := range function.Parameters {
				if found, ok := function.Parameter(parameter.Name); !ok || found != parameter {
					t.Errorf("function %q has no parameter %q", name, parameter.Name)
				}
			}
		}
		if len(p.Names()) != len(p.Functions) {
			t.Error("a function has no name")
		}
	})
}
