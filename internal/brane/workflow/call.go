package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// Call is a call of a function of a Brane package, which a step runs instead of a command. Its image is that of the package in the run's
// registry, unless the step has a separate image.
type Call struct {
	Package   string              `json:"package"` // name:version
	Brane     branelet.Version    `json:"brane"`
	Kind      branelet.Kind       `json:"kind"`
	Function  string              `json:"function"`
	Arguments map[string]Argument `json:"arguments,omitempty"`
}

// Argument is a value, or the result of a needed step.
type Argument struct {
	Value json.RawMessage `json:"value,omitempty"` // as encoded by the call's version of Brane
	Step  string          `json:"step,omitempty"`
}

// Results returns the steps whose results the call takes.
func (c *Call) Results() []string {
	taken := map[string]bool{}
	for _, argument := range c.Arguments {
		if argument.Step != "" {
			taken[argument.Step] = true
		}
	}
	return slices.Sorted(maps.Keys(taken))
}

// takesResult reports whether the step's call takes the result of another step.
func (s Step) takesResult(result string) bool {
	return s.Call != nil && slices.Contains(s.Call.Results(), result)
}

// BraneVersion returns the version of Brane whose branelet the step runs; empty if it runs another command.
func (s Step) BraneVersion() branelet.Version {
	if s.Call == nil {
		return ""
	}
	return s.Call.Brane
}

// findCallProblems reports the problems of calls that depend on other steps of the graph.
func (g Graph) findCallProblems() []error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(g.steps)) {
		step := g.steps[name]
		if step.Call == nil {
			continue
		}
		for _, argument := range slices.Sorted(maps.Keys(step.Call.Arguments)) {
			giver := step.Call.Arguments[argument].Step
			if giver == "" {
				continue
			}
			wrong := func(format string, args ...any) {
				problems = append(problems, &StepError{Step: name, Field: "arguments", Key: argument, Problem: fmt.Sprintf("argument %q of step %q: ", argument, name) + fmt.Sprintf(format, args...)})
			}
			from, found := g.steps[giver]
			switch {
			case !found:
				wrong("%q is not a step of this run", giver)
			case from.Call == nil:
				wrong("step %q calls no function of a package, so it returns no result", giver)
			case !slices.Contains(step.Needs, giver):
				wrong("step %q has to be among the needs", giver)
			case step.When != OnSuccess:
				wrong("a step that runs when others have failed cannot take the result of %q, which may be one of them", giver)
			case from.AllowFailure:
				wrong("step %q may fail, and returns no result then", giver)
			}
		}
	}
	return problems
}

// checkCall checks the values of the step's own call. Their total size is known only with the results of other steps.
func (c *checker) checkCall() {
	call := c.step.Call
	if call == nil {
		return
	}
	if len(c.step.Args) > 0 {
		c.addProblem("args", "", "a call of a package has arguments, not args")
	}
	known := map[string]branelet.Value{}
	for _, name := range slices.Sorted(maps.Keys(call.Arguments)) {
		argument := call.Arguments[name]
		if argument.Step != "" {
			continue
		}
		value, err := call.Brane.Decode(argument.Value)
		if err != nil {
			c.addProblem("arguments", name, "argument %q: %v", name, err)
			continue
		}
		known[name] = value
	}
	if _, err := call.Brane.EncodeArguments(known); err != nil {
		c.addProblem("arguments", "", "%v", err)
	}
	if !slices.Contains(call.Brane.Kinds(), call.Kind) {
		c.addProblem("kind", "", "packages of Brane %s are of kind %v, not %s", call.Brane, call.Brane.Kinds(), call.Kind)
	}
}
