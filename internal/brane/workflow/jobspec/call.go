package jobspec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// ResolveCall returns the step as its Job runs it: a call becomes a command with arguments and environment. The results of other steps that
// it takes are in their commits, so it cannot be built earlier.
func ResolveCall(spec *workflow.Spec, step workflow.Step, records map[string]files.Record) (workflow.Step, error) {
	call := step.Call
	if call == nil {
		return step, nil
	}
	arguments := map[string]branelet.Value{}
	for name, argument := range call.Arguments {
		value, err := resolveArgument(spec.Graph, call, argument, records)
		if err != nil {
			return workflow.Step{}, fmt.Errorf("argument %q: %w", name, err)
		}
		arguments[name] = value
	}
	args, err := call.Brane.Args(branelet.Call{Kind: call.Kind, Function: call.Function, Arguments: arguments})
	if err != nil {
		return workflow.Step{}, err
	}
	step.Args = args
	if step.Image == "" {
		step.Image = spec.Registry + "/library/" + call.Package
	}
	env := call.Brane.Environment(buildApplicationID(spec.ID), spec.Location, buildJobID(spec.ID, step.Name))
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

func resolveArgument(graph workflow.Graph, call *workflow.Call, argument workflow.Argument, records map[string]files.Record) (branelet.Value, error) {
	if argument.Step == "" {
		return call.Brane.Decode(argument.Value)
	}
	giver := graph.Step(argument.Step)
	if giver.Call == nil || len(records[argument.Step].Result) == 0 {
		return nil, fmt.Errorf("step %q returned no result", argument.Step)
	}
	value, err := giver.Call.Brane.Decode(records[argument.Step].Result)
	if err != nil {
		return nil, fmt.Errorf("the result of step %q: %w", argument.Step, err)
	}
	return call.Brane.For(value), nil
}

// buildApplicationID returns the UUID that Brane's driver would give to its session. It is the same for all steps of a run.
func buildApplicationID(run string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(run)).String()
}

// buildJobID has the form that Brane's driver gives it, A…R…-…, and is the same for each attempt.
func buildJobID(run, step string) string {
	sum := sha256.Sum256([]byte(run + "/" + step))
	text := hex.EncodeToString(sum[:])
	return "A" + buildApplicationID(run)[:8] + "R" + text[:6] + "-" + text[6:16]
}
