package jobspec

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
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

func TestACallIsTheProgramOfItsStep(t *testing.T) {
	first := workflowtest.CallStep("first", branelet.V06, map[string]workflow.Argument{"name": workflowtest.Argument(`{"v":"unicode","c":"result"}`)})
	plain := workflowtest.CallStep("plain", branelet.V1, map[string]workflow.Argument{"data": {Step: "first"}, "n": workflowtest.Argument("3")}, "first")
	plain.Image = "registry.example.org/own:1"
	plain.Env = map[string]string{"BRANE_JOB_ID": "mine", "LANG": "C"}
	plain.SecretEnv = map[string]string{"BRANE_LOCATION_ID": "s3cret"}
	spec := &workflow.Spec{ID: "wordcount-3f9a1c0227d5e8b4", Graph: workflowtest.GraphOf(t, first, plain), Registry: "198.51.100.10:50050", Location: "compute"}
	records := map[string]files.Record{"first": {Result: json.RawMessage(`{"v":"struct","c":{"type":"File","properties":{"url":{"v":"unicode","c":"/data/x.txt"}}}}`)}}
	for _, tt := range []struct {
		step  workflow.Step
		image string
		args  []string
		env   map[string]string
	}{
		{
			first, "198.51.100.10:50050/library/filesystem:1.0.0", []string{"ecu", "write", "eyJuYW1lIjp7InYiOiJ1bmljb2RlIiwiYyI6InJlc3VsdCJ9fQ=="},
			map[string]string{"BRANE_APPLICATION_ID": "7b13d5b0-c117-5e9a-8596-036ffa981ce2", "BRANE_LOCATION_ID": "compute", "BRANE_JOB_ID": "A7b13d5b0Ra7458a-4a5bcaac34", "DEBUG": "false"},
		},
		{ // {"data":"/data/x.txt","n":3}
			plain, "registry.example.org/own:1", []string{"ecu", "write", "eyJkYXRhIjoiL2RhdGEveC50eHQiLCJuIjozfQ=="},
			map[string]string{"BRANE_APPLICATION_ID": "7b13d5b0-c117-5e9a-8596-036ffa981ce2", "BRANE_JOB_ID": "mine", "LANG": "C"},
		},
	} {
		got, err := ResolveCall(spec, tt.step, records)
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
	if _, err := ResolveCall(spec, plain, nil); fmt.Sprint(err) != `argument "data": step "first" returned no result` {
		t.Errorf("got %v", err)
	}
	if len(plain.Args)+len(first.Env) > 0 {
		t.Error("the graph's own steps were changed")
	}
	if id := buildJobID("wordcount-3f9a1c0227d5e8b4", "first"); !regexp.MustCompile(`^A[0-9a-f]{8}R[0-9a-z]{6}-[0-9a-z]{10}$`).MatchString(id) {
		t.Errorf("%s is not as Brane writes it", id)
	}
}

// A result that is too long for the arguments of a command is reported before its Job is created.
func TestAResultThatIsTooLongForAnArgument(t *testing.T) {
	spec := &workflow.Spec{ID: "r", Graph: workflowtest.GraphOf(t, workflowtest.CallStep("a", branelet.V3, nil), workflowtest.CallStep("b", branelet.V3, map[string]workflow.Argument{"text": {Step: "a"}}, "a"))}
	long, err := json.Marshal(strings.Repeat("x", 200_000))
	if err != nil {
		t.Fatal(err)
	}
	const want = `call function "write": the encoded arguments are 266684 bytes long, and Linux accepts at most 131071; pass large values in files`
	if _, err := ResolveCall(spec, spec.Graph.Step("b"), map[string]files.Record{"a": {Result: long}}); fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
