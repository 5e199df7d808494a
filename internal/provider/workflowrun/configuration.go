package workflowrun

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The configurations of steps, which are the first parts of their fingerprints.

// configure returns the graph with the configurations of the steps, whose images must be pinned, but whose commands must not be read from images yet. secrets
// are the steps with a secret environment. Steps that are not cached get the configuration of this execution.
func (m workflowRunModel) configure(ctx context.Context, graph workflow.Graph, secrets map[string]bool, execution string, diags *diag.Diagnostics) workflow.Graph {
	models, _ := m.stepModels(ctx, diags)
	var triggers map[string]string
	diags.Append(m.Triggers.ElementsAs(ctx, &triggers, false)...)
	digests := map[string]string{}
	for name, model := range models {
		decides := workflow.Triggers{Run: triggers, Step: model.Triggers}
		if secrets[name] {
			decides.SecretEnvVersion = m.SecretEnvWOVersion.ValueInt64()
		}
		if !model.isCached() {
			decides.Execution = execution
		}
		digests[name] = graph.Step(name).DigestConfiguration(decides)
	}
	return graph.WithConfigurations(digests)
}

// isCached reports whether the stored result of the step is used again.
func (m stepModel) isCached() bool { return m.Cache.IsNull() || m.Cache.ValueBool() }

// isCached reports whether the stored result of a step is used again.
func isCached(step attr.Value) bool {
	object, ok := step.(types.Object)
	return !ok || !object.Attributes()["cache"].Equal(types.BoolValue(false))
}

// allowsFailure reports whether the run continues if a step fails.
func allowsFailure(step attr.Value) bool {
	object, ok := step.(types.Object)
	return ok && object.Attributes()["allow_failure"].Equal(types.BoolValue(true))
}

// storedGraph returns the graph of a state as it was executed. It does not compare calls with the descriptions of packages, which may have changed since.
func (m workflowRunModel) storedGraph(ctx context.Context, env environment, diags *diag.Diagnostics) workflow.Graph {
	env.isStored = true
	graph, execution := m.graph(ctx, env, diags), m.ExecutionID.ValueString()
	if diags.HasError() {
		return graph
	}
	// A state does not have the names of the steps with a secret environment, but their fingerprints contain its version.
	all, secrets := map[string]bool{}, env.secretSteps()
	for name := range m.Steps.Elements() {
		all[name] = true
	}
	configured := m.configure(ctx, graph, all, execution, diags)
	for name, result := range m.stepResults(ctx, diags) {
		secrets[name] = secrets[name] || configured.Step(name).Fingerprint("").Configuration() == result.Fingerprint.Configuration()
	}
	return m.configure(ctx, graph, secrets, execution, diags)
}
