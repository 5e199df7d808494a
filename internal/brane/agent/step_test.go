package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

func TestParseStepRefuses(t *testing.T) {
	const part = "0123456789abcdef0123456789abcdef"
	const start = `{"run":"r","name":"a","deadline":1,"configuration":"` + part + `","layer":"x","seen":"` + part + `"`
	for text, want := range map[string]string{
		``:                                    "read the step: unexpected end of JSON input",
		`{"name":"a","deadline":1}`:           `read the step: the run id "" may only have a-z, 0-9 and -`,
		`{"run":"r:x","name":"a"}`:            `read the step: the run id "r:x" may only have a-z, 0-9 and -`,
		`{"run":"r","name":"A","deadline":1}`: `read the step: "A" is not a valid step name`,
		`{"run":"r","name":"a"}`:              `read the step: no deadline`,
		`{"run":"r","name":"a","deadline":1}`: `read the step: the configuration "" is not a part of a fingerprint`,
		`{"run":"r","name":"a","deadline":1,"configuration":"` + part + `"}`:                        `read the step: no files to start with`,
		`{"run":"r","name":"a","deadline":1,"configuration":"` + part + `","layer":"x","seen":"x"}`: `read the step: what the step sees, "x", is not a part of a fingerprint`,
		start + `,"needs":{"a":["*"]}}`: `read the step: "*" is not a valid step name`,
		start + `,"brane":"0.7"}`:       `read the step: "0.7" is not a supported version of Brane`,
		start + `,"reads":["/x"]}`:      `read the step: reads: pattern "/x": path "/x" is absolute; it must be relative to the root of the files`,
		start + `,"writes":["["]}`:      `read the step: writes: pattern "[": syntax error in pattern`,
		start + `,"items":"x"}`:         `read the step: the items "x" are not a digest`,
		start + `}`:                     "<nil>",
		`{"run":"r","name":"a","deadline":1,"configuration":"` + part + `","ahead":true}`: "<nil>",
	} {
		if _, err := ParseStep([]byte(text)); fmt.Sprint(err) != want {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// An index has its own name and configuration, and its item alone. A Job may run only some of the indexes. The item is read later.
func TestForIndex(t *testing.T) {
	const configuration = "0123456789abcdef0123456789abcdef"
	item, items := "d d", files.DigestItems([]string{"d d"})
	for name, tt := range map[string]struct {
		step       Step
		completion string
		want       string // the name
		config     string
		env        []string
		err        string
	}{
		"a step without indexes": {Step{}, "", "fan", configuration, nil, ""},
		"with items": {
			Step{Indexed: true, Items: items}, "3", "fan.3", IndexConfiguration(configuration, 3, &item),
			[]string{"JOB_COMPLETION_INDEX=3", "BRANE_INDEX=3", "BRANE_ITEM=d d"}, "",
		},
		"without items": {Step{Indexed: true}, "3", "fan.3", IndexConfiguration(configuration, 3, nil), []string{"JOB_COMPLETION_INDEX=3", "BRANE_INDEX=3"}, ""},
		"some, with items": {
			Step{Indexed: true, Indexes: NewIndexSet([]int{3, 9}), Items: items}, "1", "fan.9", IndexConfiguration(configuration, 9, &item),
			[]string{"JOB_COMPLETION_INDEX=9", "BRANE_INDEX=9", "BRANE_ITEM=d d"}, "",
		},
		"some, without items": {
			Step{Indexed: true, Indexes: NewIndexSet([]int{3, 9})}, "0", "fan.3", IndexConfiguration(configuration, 3, nil), []string{"JOB_COMPLETION_INDEX=3", "BRANE_INDEX=3"}, "",
		},
		"beyond the indexes": {Step{Indexed: true, Indexes: NewIndexSet([]int{3, 9})}, "2", "", "", nil, `the step has indexes, but JOB_COMPLETION_INDEX is "2"`},
		"no index":           {Step{Indexed: true}, "", "", "", nil, `the step has indexes, but JOB_COMPLETION_INDEX is ""`},
		"a negative index":   {Step{Indexed: true}, "-1", "", "", nil, `the step has indexes, but JOB_COMPLETION_INDEX is "-1"`},
	} {
		tt.step.Name, tt.step.Configuration, tt.step.Seen = "fan", configuration, configuration
		got, err := tt.step.ForIndex(tt.completion)
		if tt.err != "" {
			if fmt.Sprint(err) != tt.err {
				t.Errorf("%s: got %v, want %s", name, err, tt.err)
			}
			continue
		}
		if _, isKnown := got.resultKey(); got.Items != "" && isKnown {
			t.Errorf("%s: the key of the result is known without the item", name)
		}
		if index, isIndex := got.index(); isIndex && got.Items != "" {
			got.setItem(index, item)
		}
		if err != nil || got.Name != tt.want || got.Configuration != tt.config || !slices.Equal(got.indexEnvironment(), tt.env) {
			t.Errorf("%s: got %+v with the environment %q, %v", name, got, got.indexEnvironment(), err)
		}
	}
}

// TestIndexSet checks that a set has the indexes with which it was created, also after it was encoded, and how large it is in a pod.
func TestIndexSet(t *testing.T) {
	var odd []int
	for index := 1; index < 10_000; index += 2 {
		odd = append(odd, index)
	}
	for _, indexes := range [][]int{nil, {0}, {1, 5}, {7, 8, 9_999}, odd} {
		text, err := json.Marshal(NewIndexSet(indexes))
		if err != nil || len(text) > 2<<10 {
			t.Errorf("the set of %d indexes has %d bytes, %v", len(indexes), len(text), err)
		}
		var again IndexSet
		if err := json.Unmarshal(text, &again); err != nil || !slices.Equal(again.List(), indexes) {
			t.Errorf("the set of %v has %v, %v", indexes, again.List(), err)
		}
	}
}

// FuzzStep checks that a step that can be parsed can be encoded, and is the same when it is parsed again.
func FuzzStep(f *testing.F) {
	const parts = `"configuration":"0123456789abcdef0123456789abcdef","seen":"0123456789abcdef0123456789abcdef","layer":"x"`
	f.Add([]byte(`{"run":"wordcount-3f9a1c0227d5e8b4","name":"count","attempt":1,"ahead":true,"needs":{"count":["split"],"split":[]},"deadline":1767225600,` + parts + `}`))
	f.Add([]byte(`{"run":"r","name":"fan","indexed":true,"indexes":"Ig==","items":"0123456789abcdef0123456789abcdef","deadline":1,"reads":["in/**"],"writes":["out/*.csv"],"patience":5,` + parts + `}`))
	f.Add([]byte(`{"run":"../x","name":"a:b"}`))
	f.Add([]byte(`{"run":"r","name":"call","deadline":1,"brane":"0.6",` + parts + `}`))
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
