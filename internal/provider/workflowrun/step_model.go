package workflowrun

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

type stepModel struct {
	podModel
	packageModel
	Command          []string          `tfsdk:"command"`
	Args             []string          `tfsdk:"args"`
	Needs            []string          `tfsdk:"needs"`
	Completions      types.Int64       `tfsdk:"completions"`
	Items            []string          `tfsdk:"items"`
	Parallelism      types.Int64       `tfsdk:"parallelism"`
	MaxFailedIndexes types.Int64       `tfsdk:"max_failed_indexes"`
	When             types.String      `tfsdk:"when"`
	AllowFailure     types.Bool        `tfsdk:"allow_failure"`
	Reads            []string          `tfsdk:"reads"`
	Writes           []string          `tfsdk:"writes"`
	Triggers         map[string]string `tfsdk:"triggers"`
	Cache            types.Bool        `tfsdk:"cache"`
}

// stepModels returns the steps as configured, and the defaults.
func (m workflowRunModel) stepModels(ctx context.Context, diags *diag.Diagnostics) (steps map[string]stepModel, defaults podModel) {
	diags.Append(m.Steps.ElementsAs(ctx, &steps, false)...)
	if !m.Defaults.IsNull() {
		diags.Append(m.Defaults.As(ctx, &defaults, basetypes.ObjectAsOptions{})...)
	}
	return steps, defaults
}

// environment holds what the graph of a run depends on beside the plan or state.
type environment struct {
	packageVersion branelet.Version             // default version for packages; empty if the provider is not configured
	secretEnv      map[string]map[string]string // by step; see secretEnv
	isStored       bool                         // it was valid when it was applied, possibly on another machine: see storedGraph
}

// secretSteps returns the steps with a secret environment.
func (e environment) secretSteps() map[string]bool {
	steps := map[string]bool{}
	for name := range e.secretEnv {
		steps[name] = true
	}
	return steps
}

// checkSteps checks the graph, as far as the steps are known.
func (m workflowRunModel) checkSteps(ctx context.Context, diags *diag.Diagnostics) {
	env := environment{secretEnv: m.secretEnv(diags)}
	if m.Steps.IsUnknown() || m.Steps.IsNull() {
		return
	}
	if attribute.HasUnknown(m.Steps) || attribute.HasUnknown(m.Defaults) || m.PodPatch.IsUnknown() {
		planned, found := plannedGraph{unknown: map[string]bool{}, incomplete: map[string]bool{}}, diag.Diagnostics{}
		m.withoutUnknown(ctx, &planned).decodeGraph(ctx, env, &found)
		diags.Append(planned.keepKnown(found)...)
		return
	}
	graph := m.graph(ctx, env, diags)
	if !diags.HasError() {
		m.checkPodPatches(ctx, graph, diags)
		m.checkSizes(ctx, graph, diags)
	}
	if !diags.HasError() && !attribute.HasUnknown(m.Inputs) {
		reportSteps(diags, graph.CheckReads(slices.Sorted(maps.Keys(m.Inputs.Elements()))))
	}
}

// graph returns the graph of the steps with their pinned images, and reports errors on the attributes.
func (m workflowRunModel) graph(ctx context.Context, env environment, diags *diag.Diagnostics) workflow.Graph {
	return m.withPinnedImages(m.decodeGraph(ctx, env, diags))
}

// decodeGraph decodes the steps and builds their graph, with the images as configured, and reports errors on the attributes.
func (m workflowRunModel) decodeGraph(ctx context.Context, env environment, diags *diag.Diagnostics) workflow.Graph {
	models, defaults := m.stepModels(ctx, diags)
	var steps []workflow.Step
	calls := map[string]*workflow.Call{}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		step := models[name].toStep(name, defaults, env, diags)
		if step.Call != nil {
			calls[name] = step.Call
		}
		if step.Call != nil && step.Image == "" && !m.hasInfrastructure() {
			diags.AddAttributeError(path.Root("steps").AtMapKey(name).AtName("package"), "Missing image", fmt.Sprintf(
				"Step %q calls package %q, whose image is in the registry of an infrastructure, but the run has a namespace instead. "+
					"Set image of the step, for example registry.example.org/library/%s, or set infrastructure.", name, step.Call.Package, step.Call.Package))
		}
		step.SecretEnv = env.secretEnv[name]
		step.PodPatches = m.listPodPatches(name, models[name], defaults).parse(diags)
		steps = append(steps, step)
	}
	if !env.isStored {
		checkResults(models, calls, diags)
	}
	graph, err := workflow.NewGraph(steps)
	reportSteps(diags, err)
	return graph
}

// reportSteps adds an error for each step error joined in err, on its attribute.
func reportSteps(diags *diag.Diagnostics, err error) {
	for _, problem := range stepErrors(err) {
		at, summary := path.Root("steps"), "Invalid step configuration"
		if problem.IsCycle {
			summary = "Cycle in steps"
		}
		if problem.Field == secretEnvAttribute {
			at = path.Root(secretEnvAttribute)
		}
		if problem.Step != "" {
			at = at.AtMapKey(problem.Step)
		}
		if problem.Field != "" && problem.Field != secretEnvAttribute {
			at = at.AtName(problem.Field)
		}
		switch {
		case problem.Key == "":
		case problem.Field == "resources" || problem.Field == "security_context": // the others with keys are maps
			at = at.AtName(problem.Key)
		default:
			at = at.AtMapKey(problem.Key)
		}
		diags.AddAttributeError(at, summary, problem.Problem+".")
	}
}

// stepErrors returns the step errors that are joined in err.
func stepErrors(err error) []*workflow.StepError {
	joined, ok := err.(interface{ Unwrap() []error }) // errors.Join provides no other access to its parts
	if !ok {
		return nil
	}
	var found []*workflow.StepError
	for _, part := range joined.Unwrap() {
		if problem, ok := part.(*workflow.StepError); ok { //nolint:errorlint // NewGraph joins these and wraps none
			found = append(found, problem)
		}
	}
	return found
}

func (m stepModel) toStep(name string, defaults podModel, env environment, diags *diag.Diagnostics) workflow.Step {
	step := workflow.Step{Name: name, Command: m.Command, Args: m.Args, Needs: slices.Sorted(slices.Values(m.Needs)), Reads: m.Reads, Writes: m.Writes}
	step.Completions, step.Items = int(m.Completions.ValueInt64()), m.Items
	step.IsEmpty = m.Items != nil && len(m.Items) == 0 || !m.Completions.IsNull() && step.Completions == 0
	if len(step.Items) > 0 {
		step.Completions = len(step.Items)
	}
	step.Parallel, step.MaxFailedIndexes = int32(m.Parallelism.ValueInt64()), int32(m.MaxFailedIndexes.ValueInt64()) //nolint:gosec // at most maxCount
	step.AllowFailure = m.AllowFailure.ValueBool()
	if when := m.When.ValueString(); when != onSuccess {
		step.When = workflow.When(when)
	}
	m.withDefaults(defaults).applyTo(&step, path.Root("steps").AtMapKey(name), diags)
	step.Metadata = m.toMetadata(defaults.metadataModel)
	if !m.Package.IsNull() {
		step.Image = m.Image.ValueString() // the default image is for commands
		if step.Call = m.toCall(path.Root("steps").AtMapKey(name), name, env, diags); step.Call != nil {
			step.Command = []string{branelet.EntryPoint}
			step.Needs = slices.Compact(slices.Sorted(slices.Values(append(step.Needs, step.Call.Results()...))))
		}
		return step
	}
	if step.Image == "" {
		diags.AddAttributeError(path.Root("steps").AtMapKey(name), "Missing image", fmt.Sprintf("Step %q has no image, and defaults has none either.", name))
	}
	return step
}
