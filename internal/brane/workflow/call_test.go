package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// calling returns a step that calls a function.
func calling(name string, version branelet.Version, arguments map[string]Argument, needs ...string) Step {
	return Step{
		Name: name, Command: []string{branelet.EntryPoint}, Needs: needs,
		Call: &Call{Package: "filesystem:1.0.0", Brane: version, Kind: version.CodeKind(), Function: "write", Arguments: arguments},
	}
}

func given(json string) Argument { return Argument{Value: []byte(json)} }

func graphOf(t *testing.T, steps ...Step) Graph {
	t.Helper()
	g, err := NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestACallIsTheProgramOfItsStep(t *testing.T) {
	first := calling("first", branelet.V06, map[string]Argument{"name": given(`{"v":"unicode","c":"result"}`)})
	plain := calling("plain", branelet.V1, map[string]Argument{"data": {Step: "first"}, "n": given("3")}, "first")
	plain.Image = "registry.example.org/own:1"
	plain.Env = map[string]string{"BRANE_JOB_ID": "mine", "LANG": "C"}
	plain.SecretEnv = map[string]string{"BRANE_LOCATION_ID": "s3cret"}
	run := &Run{ID: "wordcount-3f9a1c02", Graph: graphOf(t, first, plain), Registry: "198.51.100.10:50050", Location: "compute"}
	records := map[string]files.Record{"first": {Result: json.RawMessage(`{"v":"struct","c":{"type":"File","properties":{"url":{"v":"unicode","c":"/data/x.txt"}}}}`)}}
	for _, tt := range []struct {
		step  Step
		image string
		args  []string
		env   map[string]string
	}{
		{
			first, "198.51.100.10:50050/library/filesystem:1.0.0", []string{"ecu", "write", "eyJuYW1lIjp7InYiOiJ1bmljb2RlIiwiYyI6InJlc3VsdCJ9fQ=="},
			map[string]string{"BRANE_APPLICATION_ID": "02e33777-099f-5164-b5fc-598706a116bb", "BRANE_LOCATION_ID": "compute", "BRANE_JOB_ID": "A02e33777R2fa04c-202acba32e", "DEBUG": "false"},
		},
		{ // {"data":"/data/x.txt","n":3}
			plain, "registry.example.org/own:1", []string{"ecu", "write", "eyJkYXRhIjoiL2RhdGEveC50eHQiLCJuIjozfQ=="},
			map[string]string{"BRANE_APPLICATION_ID": "02e33777-099f-5164-b5fc-598706a116bb", "BRANE_JOB_ID": "mine", "LANG": "C"},
		},
	} {
		got, err := run.called(tt.step, records)
		if err != nil {
			t.Fatal(err)
		}
		if got.Image != tt.image || !slices.Equal(got.Args, tt.args) || !slices.Equal(got.Command, []string{"/branelet"}) {
			t.Errorf("step %s runs %s: %q %q", tt.step.Name, got.Image, got.Command, got.Args)
		}
		if !maps.Equal(got.Env, tt.env) {
			t.Errorf("step %s has %v", tt.step.Name, got.Env)
		}
	}
	if _, err := run.called(plain, nil); fmt.Sprint(err) != `argument "data": step "first" returned no result` {
		t.Errorf("got %v", err)
	}
	if len(plain.Args)+len(first.Env) > 0 {
		t.Error("the graph's own steps were changed")
	}
	if id := jobID("wordcount-3f9a1c02", "first"); !regexp.MustCompile(`^A[0-9a-f]{8}R[0-9a-z]{6}-[0-9a-z]{10}$`).MatchString(id) {
		t.Errorf("%s is not as Brane writes it", id)
	}
}

// A result that is too long for the arguments of a command is reported before its Job is created.
func TestAResultThatIsTooLongForAnArgument(t *testing.T) {
	run := &Run{ID: "r", Graph: graphOf(t, calling("a", branelet.V3, nil), calling("b", branelet.V3, map[string]Argument{"text": {Step: "a"}}, "a"))}
	long, err := json.Marshal(strings.Repeat("x", 200_000))
	if err != nil {
		t.Fatal(err)
	}
	const want = `call function "write": the encoded arguments are 266684 bytes long, and Linux accepts at most 131071; pass large values in files`
	if _, err := run.called(run.Graph.steps["b"], map[string]files.Record{"a": {Result: long}}); fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestCallsThatAreNotPossible(t *testing.T) {
	change := func(step Step, by func(*Step)) Step { by(&step); return step }
	giver := calling("a", branelet.V06, nil)
	taker := calling("b", branelet.V06, map[string]Argument{"x": {Step: "a"}}, "a")
	for name, tt := range map[string]struct {
		steps []Step
		want  string
	}{
		"a result of no step":             {[]Step{change(taker, func(s *Step) { s.Needs = nil })}, `argument "x" of step "b": "a" is not a step of this run`},
		"a result of a program":           {[]Step{{Name: "a", Image: "tools:1", Command: []string{"true"}}, taker}, `argument "x" of step "b": step "a" calls no function of a package, so it returns no result`},
		"a result that is not waited for": {[]Step{giver, change(taker, func(s *Step) { s.Needs = nil })}, `argument "x" of step "b": step "a" has to be among the needs`},
		"a result of a failure":           {[]Step{giver, change(taker, func(s *Step) { s.When = OnFailure })}, `argument "x" of step "b": a step that runs when others have failed cannot take the result of "a", which may be one of them`},
		"a result of what may fail":       {[]Step{change(giver, func(s *Step) { s.AllowFailure = true }), taker}, `argument "x" of step "b": step "a" may fail, and returns no result then`},
		"its own result":                  {[]Step{calling("a", branelet.V06, map[string]Argument{"x": {Step: "a"}}, "a")}, `steps need each other: a → a`},
		"a value of another version":      {[]Step{calling("a", branelet.V06, map[string]Argument{"x": given("3")})}, `step "a": argument "x": read a value of Brane 0.6: a value must be an object with "v" and "c"`},
		"arguments of both sorts":         {[]Step{change(giver, func(s *Step) { s.Args = []string{"x"} })}, `step "a": a call of a package has arguments, not args`},
		"a kind of another version":       {[]Step{change(giver, func(s *Step) { s.Call = &Call{Brane: branelet.V06, Kind: branelet.Code} })}, `step "a": packages of Brane 0.6 are of kind [ecu oas], not code`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewGraph(tt.steps); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// The engine in the cluster reads the steps as JSON.
func TestACallSurvivesAsJSON(t *testing.T) {
	step := calling("b", branelet.V06, map[string]Argument{"x": {Step: "a"}, "n": given(`{"v":"integer","c":9007199254740993}`)}, "a")
	text, err := json.Marshal(step)
	if err != nil {
		t.Fatal(err)
	}
	var again Step
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if second, err := json.Marshal(again); err != nil || string(second) != string(text) {
		t.Errorf("%s\nbecame\n%s, %v", text, second, err)
	}
	if !slices.Equal(again.Call.Results(), []string{"a"}) {
		t.Errorf("it takes the results of %q", again.Call.Results())
	}
}
