package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

func TestParseStepRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "read the step: unexpected end of JSON input",
		`{"name":"a","deadline":1}`:           `read the step: the run id "" may only have a-z, 0-9 and -`,
		`{"run":"r:x","name":"a"}`:            `read the step: the run id "r:x" may only have a-z, 0-9 and -`,
		`{"run":"r","name":"A","deadline":1}`: `read the step: "A" is not a valid step name`,
		`{"run":"r","name":"a"}`:              `read the step: no deadline`,
		`{"run":"r","name":"a","deadline":1,"needs":{"a":["*"]}}`: `read the step: "*" is not a valid step name`,
		`{"run":"r","name":"a","deadline":1,"brane":"0.7"}`:       `read the step: "0.7" is not a supported version of Brane`,
		`{"run":"r","name":"a","deadline":1,"reads":["/x"]}`:      `read the step: reads: pattern "/x": path "/x" is absolute; it must be relative to the root of the files`,
		`{"run":"r","name":"a","deadline":1,"writes":["["]}`:      `read the step: writes: pattern "[": syntax error in pattern`,
	} {
		if _, err := ParseStep([]byte(text)); fmt.Sprint(err) != want {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestAnIndexHasTheNeedsOfItsStep(t *testing.T) {
	step := Step{Name: "fan", Indexed: true, Items: []string{"a", "b", "c", "d d"}, Needs: map[string][]string{"fan": {"split"}}}
	got, err := step.forIndex("3")
	if err != nil || got.Name != "fan.3" || !slices.Equal(got.Needs["fan.3"], []string{"split"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if env := got.indexEnvironment(); !slices.Equal(env, []string{"BRANE_INDEX=3", "BRANE_ITEM=d d"}) || step.indexEnvironment() != nil {
		t.Errorf("environment %q, of the step itself %q", env, step.indexEnvironment())
	}
	if _, err := step.forIndex("4"); fmt.Sprint(err) != `the step has 4 indexes, but JOB_COMPLETION_INDEX is "4"` {
		t.Errorf("beyond the items: %v", err)
	}
	if len(step.Needs) != 1 {
		t.Error("the step itself was changed")
	}
}

// FuzzStep checks that a step that can be parsed can be encoded, and is the same when it is parsed again.
func FuzzStep(f *testing.F) {
	f.Add([]byte(`{"run":"wordcount-3f9a1c0227d5e8b4","name":"count","attempt":1,"needs":{"count":["split"],"split":[]},"deadline":1767225600}`))
	f.Add([]byte(`{"run":"r","name":"fan","indexed":true,"items":["a","b"],"deadline":1,"reads":["in/**"],"writes":["out/*.csv"],"patience":5}`))
	f.Add([]byte(`{"run":"../x","name":"a:b"}`))
	f.Add([]byte(`{"run":"r","name":"call","deadline":1,"brane":"0.6"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		step, err := ParseStep(text)
		if err != nil {
			return
		}
		encoded, err := step.Encode()
		if err != nil {
			t.Fatalf("a step that was accepted cannot be encoded: %v", err)
		}
		again, err := ParseStep([]byte(encoded))
		if err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if second, err := again.Encode(); err != nil || second != encoded {
			t.Fatalf("got %s, %v\nwant %s", second, err, encoded)
		}
	})
}

func TestTheTailIsTheEndOfTheOutput(t *testing.T) {
	var out tail
	var all strings.Builder
	for i := range 20_000 {
		text := fmt.Sprintln("line", i)
		all.WriteString(text)
		if _, err := out.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got, written := out.lastBytes()
	if want := all.String(); written != int64(len(want)) || string(got) != want[len(want)-files.MaxLog:] {
		t.Errorf("%d of %d bytes are kept, ending with %.20q", len(got), written, got[len(got)-20:])
	}
	if cap(out.kept) > 4*files.MaxLog {
		t.Errorf("it holds %d bytes", cap(out.kept))
	}
	if _, err := out.Write(make([]byte, 10*files.MaxLog)); err != nil {
		t.Fatal(err)
	}
	if got, _ := out.lastBytes(); len(got) != files.MaxLog {
		t.Errorf("after one large write %d bytes are kept", len(got))
	}
}
