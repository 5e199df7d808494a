package branelet

import (
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestArgs(t *testing.T) {
	for name, tt := range map[string]struct {
		version Version
		call    Call
		want    []string
	}{
		"none":           {V06, Call{ECU, "run", nil}, []string{"ecu", "run", "e30="}},
		"one":            {V06, Call{ECU, "encode", map[string]Value{"input": String("Hello, world!")}}, []string{"ecu", "encode", "eyJpbnB1dCI6eyJ2IjoidW5pY29kZSIsImMiOiJIZWxsbywgd29ybGQhIn19"}},
		"a number":       {V04, Call{Code, "sleep", map[string]Value{"timeout": Integer(5)}}, []string{"code", "sleep", "eyJ0aW1lb3V0Ijp7InYiOiJpbnRlZ2VyIiwiYyI6NX19"}},
		"a plain number": {V1, Call{ECU, "sleep", map[string]Value{"timeout": Integer(5)}}, []string{"ecu", "sleep", "eyJ0aW1lb3V0Ijo1fQ=="}},
		"a plain path":   {V3, Call{ECU, "read", map[string]Value{"data": V3.File("jedis")}}, []string{"ecu", "read", "eyJkYXRhIjoiL2RhdGEvamVkaXMifQ=="}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := tt.version.Args(tt.call); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got  %q, %v\nwant %q", got, err, tt.want)
			}
		})
	}
}

// TestDecodeArgumentsOfBrane compares decoded arguments, as Brane writes them in random order.
func TestDecodeArgumentsOfBrane(t *testing.T) {
	const seen = "eyJuYW1lIjp7InYiOiJ1bmljb2RlIiwiYyI6InJlc3VsdCJ9LCJjb250ZW50cyI6eyJ2IjoidW5pY29kZSIsImMiOiJoZWxsbyJ9fQ=="
	want := map[string]Value{"name": String("result"), "contents": String("hello")}
	if got, err := V06.DecodeArguments(seen); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v", got, err)
	}
	written, err := V06.EncodeArguments(want)
	if err != nil || len(written) != len(seen) {
		t.Errorf("got %s, %v", written, err)
	}
	for text, want := range map[string]string{
		"%":            "read the arguments of a call: invalid base64",
		"W10=":         "read the arguments of a call: not a JSON object",
		"e30":          "read the arguments of a call: invalid base64",
		"eyJhIjoxfQ==": `read argument "a": a value must be an object with "v" and "c"`,
	} {
		if _, err := V06.DecodeArguments(text); fmt.Sprint(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestRefusesArgumentsThatAreTooLong(t *testing.T) {
	const want = `call function "f": the encoded arguments are 200024 bytes long, and Linux accepts at most 131071; pass large values in files`
	_, err := V3.Args(Call{ECU, "f", map[string]Value{"text": String(strings.Repeat("x", 150_007))}})
	if fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestEnvironment(t *testing.T) {
	for version, want := range map[Version]map[string]string{
		V04: {"BRANE_APPLICATION_ID": "a", "BRANE_LOCATION_ID": "l", "BRANE_JOB_ID": "j"},
		V06: {"BRANE_APPLICATION_ID": "a", "BRANE_LOCATION_ID": "l", "BRANE_JOB_ID": "j", "DEBUG": "false"},
		V3:  {"BRANE_APPLICATION_ID": "a", "BRANE_LOCATION_ID": "l", "BRANE_JOB_ID": "j", "ENABLE_STDOUT_PREFIX": "1"},
	} {
		if got := version.Environment("a", "l", "j"); !maps.Equal(got, want) {
			t.Errorf("Brane %s: got %v, want %v", version, got, want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"0.4": V04, "0.4.1": V04, "0.5.0": V05, "0.6.3": V06, "1": V1, "1.0.0": V1, "2.0": V2, "3.0.0": V3, "4": V4,
		"0.3": "", "5": "", "0.6.x": "", "v0.6": "", "": "", "0.6.3.1": "", "1.0.0.0": "",
	} {
		got, err := ParseVersion(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, version := range Versions() {
		if again, err := ParseVersion(string(version)); again != version {
			t.Errorf("%s is %s, %v", version, again, err)
		}
	}
}

func TestKindsAndExitCodesOfVersions(t *testing.T) {
	if V04.CodeKind() != Code || V05.CodeKind() != ECU || V3.CodeKind() != ECU {
		t.Error("only Brane 0.4 calls code by another name")
	}
	if !slices.Equal(V06.Kinds(), []Kind{ECU, OAS}) || !slices.Equal(V04.Kinds(), []Kind{Code, OAS}) || !slices.Equal(V4.Kinds(), []Kind{ECU}) {
		t.Error("web APIs are called by all versions but 4")
	}
	for _, tt := range []struct {
		version Version
		code    int
		want    string
	}{
		{V04, 1, "branelet failed; its message has the reason"},
		{V05, 101, "branelet panicked: the program failed, or its output is not the YAML of the outputs that the package declares"},
		{V05, 255, ""},
		{V06, 255, "branelet failed (its message has the reason), or a signal ended the program"},
		{V3, 255, "branelet failed (its message has the reason), or a signal ended the program"},
		{V06, 1, ""},
	} {
		if got := tt.version.Meaning(tt.code); got != tt.want {
			t.Errorf("Brane %s, code %d: got %q", tt.version, tt.code, got)
		}
	}
	if !V04.HidesExitCode() || !V05.HidesExitCode() || V06.HidesExitCode() || V1.HidesExitCode() {
		t.Error("only Brane 0.4 and 0.5 hide how the program ended")
	}
}

// TestErrorsContainNoValue checks that errors never contain what was parsed, which may be a secret.
func TestErrorsContainNoValue(t *testing.T) {
	for _, text := range []string{`"geheim`, `{"geheim":1}`, `geheim`, `["a" geheim]`, `{"v":"integer","c":"geheim"}`} {
		for _, version := range Versions() {
			if _, err := version.Decode([]byte(text)); err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("%v", err)
			}
			if _, err := version.DecodeArguments(base64.StdEncoding.EncodeToString([]byte(text))); err != nil && strings.Contains(err.Error(), "geheim") && text != `{"geheim":1}` {
				t.Errorf("%v", err)
			}
		}
	}
}
