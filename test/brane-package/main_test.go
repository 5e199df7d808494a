package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// images returns directories with the content of the test images: branelet and the files of a package. The test program is the program in them.
func images(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	built := filepath.Join(root, "branelet")
	if text, err := exec.Command("go", "build", "-o", built, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for folder, file := range map[string]string{"tagged": "probe/tagged.yml", "plain": "probe/plain.yml"} {
		content, err := os.ReadFile(file)
		must(t, err)
		must(t, os.Mkdir(filepath.Join(root, folder), 0o755))
		must(t, os.Link(built, filepath.Join(root, folder, "run")))
		for _, name := range []string{"container.yml", "local_container.yml"} {
			must(t, os.WriteFile(filepath.Join(root, folder, name), content, 0o600))
		}
	}
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// call calls a function like a step does.
func call(t *testing.T, root string, version branelet.Version, args ...string) (output *branelet.Output, code int, log string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(root, "branelet"), args...)
	folder := "tagged"
	if version >= branelet.V1 {
		folder = "plain"
	}
	cmd.Env = []string{"BRANELET_VERSION=" + string(version), "BRANE_WORKDIR=" + filepath.Join(root, folder)}
	for name, value := range version.Environment("application", "location", "job") {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	output = &branelet.Output{Version: version}
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = output, &errs
	var ended *exec.ExitError
	if err := cmd.Run(); errors.As(err, &ended) {
		code = ended.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return output, code, errs.String()
}

// TestArgumentsAndResults calls every function with every version.
func TestArgumentsAndResults(t *testing.T) {
	root := images(t)
	in := t.TempDir()
	must(t, os.WriteFile(filepath.Join(in, "a.txt"), []byte("Ada"), 0o600))
	folder := filepath.Join(in, "folder")
	must(t, os.MkdirAll(filepath.Join(folder, "b"), 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "b", "c"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(folder, "d"), nil, 0o600))
	type arguments = map[string]branelet.Value
	place := func(class, path string) func(branelet.Version) branelet.Value { // as Version.File, but not below /data
		return func(v branelet.Version) branelet.Value {
			if v >= branelet.V1 {
				return branelet.String(path)
			}
			return branelet.Struct{Class: class, Properties: arguments{"url": branelet.String(path)}}
		}
	}
	integers := branelet.Array{Of: "integer", Entries: []branelet.Value{branelet.Integer(1), branelet.Integer(math.MaxInt64 - 1)}}
	pair := branelet.Struct{Class: "Pair", Properties: arguments{"left": branelet.String("日本"), "right": branelet.Integer(-1)}}
	same := func(value branelet.Value) func(branelet.Version) branelet.Value {
		return func(branelet.Version) branelet.Value { return value }
	}
	for name, tt := range map[string]struct {
		function  string
		arguments func(branelet.Version) arguments
		want      func(branelet.Version) branelet.Value
	}{
		"a string, not ASCII":   {"echo", func(branelet.Version) arguments { return arguments{"text": branelet.String("naïve \"日本\" #1: {")} }, same(branelet.String("naïve \"日本\" #1: {"))},
		"a number as a string":  {"echo", func(branelet.Version) arguments { return arguments{"text": branelet.String("12")} }, same(branelet.String("12"))},
		"an integer of 64 bits": {"successor", func(branelet.Version) arguments { return arguments{"n": branelet.Integer(math.MaxInt64 - 1)} }, same(branelet.Integer(math.MaxInt64))},
		"a real":                {"half", func(branelet.Version) arguments { return arguments{"x": branelet.Real(0.1)} }, same(branelet.Real(0.05))},
		"a real that is whole":  {"half", func(branelet.Version) arguments { return arguments{"x": branelet.Real(4)} }, same(branelet.Real(2))},
		"a boolean":             {"not", func(branelet.Version) arguments { return arguments{"b": branelet.Boolean(false)} }, same(branelet.Boolean(true))},
		"unit":                  {"nothing", func(branelet.Version) arguments { return nil }, same(branelet.Unit{})},
		"an array":              {"sum", func(branelet.Version) arguments { return arguments{"numbers": integers} }, same(branelet.Integer(math.MaxInt64))},
		"an array as a result":  {"split", func(branelet.Version) arguments { return arguments{"text": branelet.String("a é")} }, same(branelet.Array{Of: "string", Entries: []branelet.Value{branelet.String("a"), branelet.String("é")}})},
		"a struct as a result":  {"pair", func(branelet.Version) arguments { return pair.Properties }, same(pair)},
		"a struct":              {"left", func(branelet.Version) arguments { return arguments{"pair": pair} }, same(branelet.String("日本"))},
		"a file": {"copy", func(v branelet.Version) arguments {
			return arguments{"file": place("File", filepath.Join(in, "a.txt"))(v)}
		}, place("File", filepath.Join(in, "a.txt.copy"))},
		"a folder": {"tree", func(v branelet.Version) arguments {
			return arguments{"folder": place("Directory", folder)(v)}
		}, same(branelet.Array{Of: "string", Entries: []branelet.Value{branelet.String("b/c"), branelet.String("d")}})},
		"logs around the result": {"noisy", func(branelet.Version) arguments { return arguments{"text": branelet.String("quiet")} }, same(branelet.String("quiet"))},
		"a result of 100 kB":     {"large", func(branelet.Version) arguments { return arguments{"n": branelet.Integer(100_000)} }, same(branelet.String(strings.Repeat("x", 100_000)))},
	} {
		for _, version := range branelet.Versions() {
			t.Run(name+" with "+string(version), func(t *testing.T) {
				args, err := version.Args(branelet.Call{Kind: version.CodeKind(), Function: tt.function, Arguments: tt.arguments(version)})
				must(t, err)
				output, code, log := call(t, root, version, args...)
				text, err := output.Result()
				if err != nil || code != 0 {
					t.Fatalf("code %d, %v\n%s", code, err, log)
				}
				got, err := version.Decode(text)
				must(t, err)
				if !reflect.DeepEqual(got, tt.want(version)) {
					t.Errorf("got  %#v\nwant %#v", got, tt.want(version))
				}
			})
		}
	}
}

// TestFailures checks how a call fails with every version.
func TestFailures(t *testing.T) {
	root := images(t)
	for name, tt := range map[string]struct {
		function     string
		early, newer int
	}{
		"a program that fails after its result": {"fails", 0, 3},
		"a program that fails":                  {"crash", 101, 1},
		"a program that is killed":              {"killed", 101, 255},
		"an argument that is missing":           {"echo", 1, 255},
	} {
		for _, version := range branelet.Versions() {
			t.Run(name+" with "+string(version), func(t *testing.T) {
				args, err := version.Args(branelet.Call{Kind: version.CodeKind(), Function: tt.function})
				must(t, err)
				output, code, log := call(t, root, version, args...)
				want := tt.newer
				if version.HidesExitCode() {
					want = tt.early
				}
				if code != want {
					t.Errorf("code %d, want %d\n%s", code, want, log)
				}
				if _, err := output.Result(); (err == nil) != (code == 0) {
					t.Errorf("the result: %v", err)
				}
			})
		}
	}
}

func TestNoOp(t *testing.T) {
	root := images(t)
	for _, version := range branelet.Versions() {
		output, code, log := call(t, root, version, "no-op")
		text, err := output.Result()
		if err != nil || code != 0 {
			t.Fatalf("Brane %s: code %d, %v\n%s", version, code, err, log)
		}
		if got, err := version.Decode(text); err != nil || got != (branelet.Unit{}) {
			t.Errorf("Brane %s: %#v, %v", version, got, err)
		}
	}
}

// TestKinds checks that each kind of a package is a subcommand of branelet.
func TestKinds(t *testing.T) {
	root := images(t)
	for _, version := range branelet.Versions() {
		for _, kind := range []branelet.Kind{branelet.ECU, branelet.Code, branelet.OAS} {
			args, err := version.Args(branelet.Call{Kind: kind, Function: "nothing"})
			must(t, err)
			_, code, _ := call(t, root, version, args...)
			known := false
			for _, k := range version.Kinds() {
				known = known || k == kind
			}
			if known != (code == 0) {
				t.Errorf("Brane %s, kind %s: code %d", version, kind, code)
			}
		}
	}
}
