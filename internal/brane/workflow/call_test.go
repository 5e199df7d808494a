package workflow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

func TestCallsThatAreNotPossible(t *testing.T) {
	change := func(step workflow.Step, by func(*workflow.Step)) workflow.Step { by(&step); return step }
	giver := workflowtest.CallStep("a", branelet.V06, nil)
	taker := workflowtest.CallStep("b", branelet.V06, map[string]workflow.Argument{"x": {Step: "a"}}, "a")
	for name, tt := range map[string]struct {
		steps []workflow.Step
		want  string
	}{
		"a result of no step":             {[]workflow.Step{change(taker, func(s *workflow.Step) { s.Needs = nil })}, `argument "x" of step "b": "a" is not a step of this run`},
		"a result of a program":           {[]workflow.Step{{Name: "a", Image: "tools:1", Command: []string{"true"}}, taker}, `argument "x" of step "b": step "a" calls no function of a package, so it returns no result`},
		"a result that is not waited for": {[]workflow.Step{giver, change(taker, func(s *workflow.Step) { s.Needs = nil })}, `argument "x" of step "b": step "a" has to be among the needs`},
		"a result of a failure":           {[]workflow.Step{giver, change(taker, func(s *workflow.Step) { s.When = workflow.OnFailure })}, `argument "x" of step "b": a step that runs when others have failed cannot take the result of "a", which may be one of them`},
		"a result of what may fail":       {[]workflow.Step{change(giver, func(s *workflow.Step) { s.AllowFailure = true }), taker}, `argument "x" of step "b": step "a" may fail, and returns no result then`},
		"its own result":                  {[]workflow.Step{workflowtest.CallStep("a", branelet.V06, map[string]workflow.Argument{"x": {Step: "a"}}, "a")}, `steps need each other: a → a`},
		"a value of another version":      {[]workflow.Step{workflowtest.CallStep("a", branelet.V06, map[string]workflow.Argument{"x": workflowtest.Argument("3")})}, `step "a": argument "x": read a value of Brane 0.6: a value must be an object with "v" and "c"`},
		"arguments of both sorts":         {[]workflow.Step{change(giver, func(s *workflow.Step) { s.Args = []string{"x"} })}, `step "a": a call of a package has arguments, not args`},
		"a kind of another version":       {[]workflow.Step{change(giver, func(s *workflow.Step) { s.Call = &workflow.Call{Brane: branelet.V06, Kind: branelet.Code} })}, `step "a": packages of Brane 0.6 are of kind [ecu oas], not code`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := workflow.NewGraph(tt.steps); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// The engine in the cluster reads the steps as JSON.
func TestACallSurvivesAsJSON(t *testing.T) {
	step := workflowtest.CallStep("b", branelet.V06, map[string]workflow.Argument{"x": {Step: "a"}, "n": workflowtest.Argument(`{"v":"integer","c":9007199254740993}`)}, "a")
	text, err := json.Marshal(step)
	if err != nil {
		t.Fatal(err)
	}
	var again workflow.Step
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
