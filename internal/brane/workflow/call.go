package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Call is a call of a function of a Brane package, which a step runs instead of a command. Its image is that of the package in the run's registry, unless the step
// has a separate image.
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

// takes reports whether the step's call takes the result of another step.
func (s Step) takes(result string) bool {
	return s.Call != nil && slices.Contains(s.Call.Results(), result)
}

// brane returns the version of Brane whose branelet the step runs; empty if it runs another command.
func (s Step) brane() branelet.Version {
	if s.Call == nil {
		return ""
	}
	return s.Call.Brane
}

// called returns the step as its Job runs it: a call becomes a command with arguments and environment. The results of other steps that it takes are in their
// commits, so it cannot be built earlier.
func (r *Run) called(step Step, records map[string]files.Record) (Step, error) {
	call := step.Call
	if call == nil {
		return step, nil
	}
	arguments := map[string]branelet.Value{}
	for name, argument := range call.Arguments {
		value, err := r.value(call, argument, records)
		if err != nil {
			return Step{}, fmt.Errorf("argument %q: %w", name, err)
		}
		arguments[name] = value
	}
	args, err := call.Brane.Args(branelet.Call{Kind: call.Kind, Function: call.Function, Arguments: arguments})
	if err != nil {
		return Step{}, err
	}
	step.Args = args
	if step.Image == "" {
		step.Image = r.Registry + "/library/" + call.Package
	}
	env := call.Brane.Environment(applicationID(r.ID), r.Location, jobID(r.ID, step.Name))
	maps.Copy(env, step.Env)
	for name := range step.SecretEnv {
		delete(env, name)
	}
	for name := range step.EnvFromSecret {
		delete(env, name)
	}
	step.Env = env
	return step, nil
}

func (r *Run) value(call *Call, argument Argument, records map[string]files.Record) (branelet.Value, error) {
	if argument.Step == "" {
		return call.Brane.Decode(argument.Value)
	}
	giver := r.Graph.steps[argument.Step]
	if giver.Call == nil || len(records[argument.Step].Result) == 0 {
		return nil, fmt.Errorf("step %q returned no result", argument.Step)
	}
	value, err := giver.Call.Brane.Decode(records[argument.Step].Result)
	if err != nil {
		return nil, fmt.Errorf("the result of step %q: %w", argument.Step, err)
	}
	return call.Brane.For(value), nil
}

// applicationID returns the UUID that Brane's driver would give to its session. It is the same for all steps of a run.
func applicationID(run string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(run)).String() }

// jobID has the form that Brane's driver gives it, A…R…-…, and is the same for each attempt.
func jobID(run, step string) string {
	sum := sha256.Sum256([]byte(run + "/" + step))
	text := hex.EncodeToString(sum[:])
	return "A" + applicationID(run)[:8] + "R" + text[:6] + "-" + text[6:16]
}

// calls reports the problems of calls that depend on other steps of the graph.
func (g Graph) calls() []error {
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

// call checks the values of the step's own call. Their total size is known only with the results of other steps.
func (c *checker) call() {
	call := c.step.Call
	if call == nil {
		return
	}
	if len(c.step.Args) > 0 {
		c.wrong("args", "", "a call of a package has arguments, not args")
	}
	known := map[string]branelet.Value{}
	for _, name := range slices.Sorted(maps.Keys(call.Arguments)) {
		argument := call.Arguments[name]
		if argument.Step != "" {
			continue
		}
		value, err := call.Brane.Decode(argument.Value)
		if err != nil {
			c.wrong("arguments", name, "argument %q: %v", name, err)
			continue
		}
		known[name] = value
	}
	if _, err := call.Brane.EncodeArguments(known); err != nil {
		c.wrong("arguments", "", "%v", err)
	}
	if !slices.Contains(call.Brane.Kinds(), call.Kind) {
		c.wrong("kind", "", "packages of Brane %s are of kind %v, not %s", call.Brane, call.Brane.Kinds(), call.Kind)
	}
}
