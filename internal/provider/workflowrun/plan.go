package workflowrun

import (
	"context"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// ModifyPlan finds out which steps may run. Only their results are unknown in the plan, and so an apply returns all others unchanged.
func (r *workflowRunResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(resp.Private.SetKey(ctx, successorKey, []byte(noSuccessor))...)
		return // destroy
	}
	var plan, state workflowRunModel
	attribute.Decode(ctx, req.Plan, &plan, &resp.Diagnostics)
	if !req.State.Raw.IsNull() {
		attribute.Decode(ctx, req.State, &state, &resp.Diagnostics)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if plan.isSubmittedByProvider() {
		r.runner.clients.PlanCluster(ctx, req, resp)
	}
	before, found := req.Private.GetKey(ctx, successorKey)
	resp.Diagnostics.Append(found...)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, successorKey, encodeSuccessor(plan, req.State.Raw.IsNull(), before))...)
	config := plan
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(secretEnvAttribute), &config.SecretEnvWO)...) // a plan has no write-only values
	graph := r.runner.planGraph(ctx, &plan, state, config, &resp.Diagnostics)
	r.runner.checkCertificates(plan, &resp.Diagnostics)
	checkPage(plan.ReportPath, &resp.Diagnostics)
	plan.checkSources(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("images"), plan.Images)...)
	if req.State.Raw.IsNull() {
		r.runner.warnExpiringToken(ctx, plan, &resp.Diagnostics)
		return
	}
	if resp.RequiresReplace = plan.listReplacing(state); len(resp.RequiresReplace) > 0 {
		r.runner.warnExpiringToken(ctx, plan, &resp.Diagnostics)
		return
	}
	gone := readNames(ctx, req.Private, goneKey, &resp.Diagnostics)
	if plan.planUpdate(ctx, state, graph, gone, &resp.Diagnostics) {
		r.runner.warnExpiringToken(ctx, plan, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planGraph returns the graph of a plan, in which the executions of steps are not known yet, and plans the images of its steps. config is the plan with the
// write-only values of the configuration.
func (r *runner) planGraph(ctx context.Context, plan *workflowRunModel, state, config workflowRunModel, diags *diag.Diagnostics) plannedGraph {
	planned := plannedGraph{unknown: map[string]bool{}, incomplete: map[string]bool{}}
	known := plan.withoutUnknown(ctx, &planned)
	var found diag.Diagnostics
	env := environment{packageVersion: r.clients.PackageVersion(), secretEnv: config.secretEnv(&found)}
	if config.SecretEnvWO.IsUnknown() { // any step may have a secret environment
		planned.isUnknown = true
	}
	graph := known.decodeGraph(ctx, env, &found)
	if planned.hasUnknown() {
		diags.Append(planned.keepKnown(found)...)
	} else {
		diags.Append(found...)
	}
	if found.HasError() || planned.isUnknown {
		planned.isUnknown = true
		return planned
	}
	for _, step := range withoutCommand(graph) {
		planned.isImageUnknown = planned.isImageUnknown || planned.unknown[step.Name]
	}
	if !planned.isImageUnknown {
		plan.planImages(ctx, graph, state, env)
	}
	if planned.isImageUnknown || plan.Images.IsUnknown() {
		plan.Images = types.MapUnknown(types.StringType)
		for _, step := range withoutCommand(graph) {
			planned.unknown[step.Name] = true
		}
	}
	plan.checkSizes(ctx, graph, diags)
	planned.Graph = known.configure(ctx, plan.withPinnedImages(graph), env.secretSteps(), "", diags)
	if !state.Steps.IsNull() {
		var ignored diag.Diagnostics // the state was valid when it was applied
		earlier := state.graph(ctx, environment{packageVersion: env.packageVersion}, &ignored)
		planned.earlier = state.configure(ctx, earlier, env.secretSteps(), "", &ignored)
	}
	return planned
}

// plannedGraph is the graph of a plan.
type plannedGraph struct {
	workflow.Graph
	earlier        workflow.Graph  // that of the state
	unknown        map[string]bool // steps with values that are not known yet, and that may run because of that
	incomplete     map[string]bool // all steps with values that are not known yet
	isUnknown      bool            // the graph is not known at all
	isImageUnknown bool            // an image that has to be pinned is not known
}

func (g plannedGraph) hasUnknown() bool { return g.isUnknown || len(g.unknown) > 0 }

// keepKnown returns the diagnostics that hold whatever the unknown values are: those about needs, and those about steps of which all values are known. But an
// argument may be the result of a step that is not known.
func (g plannedGraph) keepKnown(found diag.Diagnostics) (kept diag.Diagnostics) {
	for _, d := range found {
		at, hasPath := d.(diag.DiagnosticWithPath)
		if !hasPath {
			continue
		}
		steps := append(at.Path().Steps(), path.PathStepAttributeName(""))
		if len(steps) < 3 || !steps[0].Equal(path.PathStepAttributeName("steps")) {
			continue
		}
		name, _ := steps[1].(path.PathStepElementKeyString)
		isComplete := !g.incomplete[string(name)] && !steps[2].Equal(path.PathStepAttributeName("arguments"))
		if isComplete || steps[2].Equal(path.PathStepAttributeName("needs")) {
			kept.Append(d)
		}
	}
	return kept
}

// withoutUnknown returns a run in which null replaces the unknown values of steps, and notes which steps may run because of them.
func (m workflowRunModel) withoutUnknown(ctx context.Context, planned *plannedGraph) workflowRunModel {
	planned.isUnknown = m.Steps.IsUnknown() || m.Defaults.IsUnknown() || m.PodPatch.IsUnknown() || attribute.HasUnknown(m.Triggers) || m.SecretEnvWOVersion.IsUnknown()
	if m.Steps.IsUnknown() || m.Steps.IsNull() {
		return m
	}
	isIncomplete := attribute.HasUnknown(m.Defaults) || m.PodPatch.IsUnknown()
	if m.PodPatch.IsUnknown() {
		m.PodPatch = types.StringNull()
	}
	if !m.Defaults.IsNull() {
		defaults, unknown := setUnknownNull(ctx, m.Defaults)
		planned.isUnknown = planned.isUnknown || slices.ContainsFunc(unknown, decidesResult)
		m.Defaults = defaults
	}
	steps := m.Steps.Elements()
	for name, value := range steps {
		step, ok := value.(types.Object)
		if !ok {
			continue // the schema allows nothing else
		}
		known, unknown := setUnknownNull(ctx, step)
		if slices.Contains(unknown, "needs") || slices.Contains(unknown, "arguments") { // the graph has other edges
			planned.isUnknown = true
		}
		if slices.ContainsFunc(unknown, decidesResult) {
			planned.unknown[name] = true
		}
		planned.incomplete[name] = isIncomplete || len(unknown) > 0
		steps[name] = known
	}
	m.Steps = types.MapValueMust(m.Steps.ElementType(ctx), steps)
	return m
}

// setUnknownNull returns an object in which null replaces attributes with unknown parts, and the names of these. An unknown image is replaced by a name.
func setUnknownNull(ctx context.Context, object types.Object) (known types.Object, unknown []string) {
	attributes := object.Attributes()
	if object.IsUnknown() { // then it has none
		for name, typ := range object.AttributeTypes(ctx) {
			attributes[name] = attribute.UnknownOf(ctx, typ)
		}
	}
	for name, value := range attributes {
		if !attribute.HasUnknown(value) {
			continue
		}
		unknown = append(unknown, name)
		if attributes[name] = attribute.NullOf(ctx, value); name == "image" {
			attributes[name] = types.StringValue("unknown")
		}
	}
	return types.ObjectValueMust(object.AttributeTypes(ctx), attributes), unknown
}

// resultless are the attributes of steps and of `defaults` that never run a step again.
var resultless = []string{
	"affinity", "allow_failure", "annotations", "data_size_limit", "image_pull_secrets", "labels", "max_failed_indexes", "node_selector", "parallelism", "priority_class_name",
	"resource_claims", "resources", "retries", "runtime_class_name", "scheduler_name", "termination_grace_period_seconds", "timeout", "tolerations", "topology_spread_constraints",
}

// decidesResult reports whether an attribute of a step may run it again.
func decidesResult(name string) bool { return !slices.Contains(resultless, name) }

// checkSources reports the files of inputs that cannot be read.
func (m workflowRunModel) checkSources(ctx context.Context, diags *diag.Diagnostics) {
	known := map[string]attr.Value{}
	for name, input := range m.Inputs.Elements() {
		object, ok := input.(types.Object)
		if !ok || object.IsUnknown() || !object.Attributes()["sha256"].IsUnknown() {
			continue // its digest is planned, so it was read
		}
		attributes := maps.Clone(object.Attributes())
		delete(attributes, "sha256")
		if !slices.ContainsFunc(slices.Collect(maps.Values(attributes)), attribute.HasUnknown) {
			known[name] = input
		}
	}
	if len(known) > 0 {
		m.Inputs = types.MapValueMust(m.Inputs.ElementType(ctx), known)
		m.readSources(ctx, diags)
	}
}

// listReplacing returns the attributes whose change replaces the run: its name and its place.
func (m workflowRunModel) listReplacing(state workflowRunModel) (changed path.Paths) {
	compared := map[string][2]attr.Value{"name": {m.Name, state.Name}, "infrastructure": {m.Infrastructure, state.Infrastructure}}
	if !m.hasInfrastructure() {
		compared["cluster"], compared["namespace"] = [2]attr.Value{m.Cluster, state.Cluster}, [2]attr.Value{m.Namespace, state.Namespace}
	}
	for _, name := range slices.Sorted(maps.Keys(compared)) {
		if !compared[name][0].Equal(compared[name][1]) {
			changed = append(changed, path.Root(name))
		}
	}
	return changed
}

// planUpdate plans the computed values of a run that is not replaced. It returns whether the run may be executed.
func (m *workflowRunModel) planUpdate(ctx context.Context, state workflowRunModel, graph plannedGraph, gone []string, diags *diag.Diagnostics) bool {
	m.ID, m.ExecutionID = state.ID, state.ExecutionID
	if m.hasInfrastructure() {
		m.Namespace = state.Namespace
	}
	outputs, areAll := planOutputs(m.Outputs, state.Outputs)
	continues := state.isDelegated() && m.hasSameWorkflow(state)
	runs, isSucceeded := map[string]string{}, state.Status.ValueString() == string(workflow.RunSucceeded)
	switch {
	case continues && !m.waitsForEnd(): // nothing but the outputs may change
	case continues:
		runs = state.listUnfinished()
	default:
		areAll = areAll && (m.Outputs.IsNull() || len(state.Drift.Elements()) == 0 && !m.hasRemovedSteps(state))
		runs = m.listRuns(ctx, state, graph, workflow.Update{Executes: !isSucceeded, ReadsOutputs: !areAll, Gone: toSet(gone)}, diags)
	}
	executes := len(runs) > 0 || !isSucceeded && (!continues || m.waitsForEnd()) // or apply waits for the end of the execution
	m.planResults(state, runs)
	if executes {
		for _, name := range slices.Sorted(maps.Keys(runs)) {
			tflog.Info(ctx, "step may run", map[string]any{"run": m.ID.ValueString(), "step": name, "because": runs[name]})
		}
		m.setResultsUnknown()
		return true
	}
	m.Status, m.StartedAt, m.FinishedAt, m.Duration = state.Status, state.StartedAt, state.FinishedAt, state.Duration
	m.Outputs, m.OutputsDigest = outputs, types.StringUnknown()
	if areAll {
		m.OutputsDigest = state.OutputsDigest
	}
	m.ReportWrittenAt = state.ReportWrittenAt
	if m.shouldWriteReport(state) {
		m.ReportWrittenAt = types.StringUnknown()
	}
	return false
}

// listRuns returns the steps that may run, with the reasons. With values that are not known yet, these are all steps that are known.
func (m workflowRunModel) listRuns(ctx context.Context, state workflowRunModel, graph plannedGraph, update workflow.Update, diags *diag.Diagnostics) map[string]string {
	inputs, areKnown := m.listChangedInputs(state)
	if graph.isUnknown || !areKnown {
		runs := map[string]string{"": "not all steps are known yet"}
		for name := range m.Steps.Elements() {
			runs[name] = "the run has values that are not known yet"
		}
		return runs
	}
	update.Graph, update.Earlier, update.Inputs, update.Unknown = graph.Graph, graph.earlier, inputs, graph.unknown
	update.Results = state.stepResults(ctx, diags)
	update.Uncached = map[string]bool{}
	for name, step := range m.Steps.Elements() {
		update.Uncached[name] = !isCached(step)
	}
	return update.ListRuns()
}

// listChangedInputs returns the paths of the inputs that differ from those of the state; false if the paths are not known yet.
func (m workflowRunModel) listChangedInputs(state workflowRunModel) (paths []string, areKnown bool) {
	if m.Inputs.IsUnknown() {
		return nil, false
	}
	digest := func(inputs types.Map, name string) attr.Value {
		if object, ok := inputs.Elements()[name].(types.Object); ok && !object.IsUnknown() {
			return object.Attributes()["sha256"]
		}
		return types.StringUnknown()
	}
	all := maps.Clone(m.Inputs.Elements())
	maps.Copy(all, state.Inputs.Elements())
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if planned := digest(m.Inputs, name); planned.IsUnknown() || !planned.Equal(digest(state.Inputs, name)) {
			paths = append(paths, name)
		}
	}
	return paths, true
}

// hasSameWorkflow reports whether an engine that executes the run of the state executes this one.
func (m workflowRunModel) hasSameWorkflow(state workflowRunModel) bool {
	changed, areKnown := m.listChangedInputs(state)
	for _, pair := range [][2]attr.Value{
		{m.Steps, state.Steps}, {m.Defaults, state.Defaults}, {m.Images, state.Images}, {m.Triggers, state.Triggers},
		{m.SecretEnvWOVersion, state.SecretEnvWOVersion}, {m.PodPatch, state.PodPatch}, {m.Parallelism, state.Parallelism},
		{m.StartupTimeout, state.StartupTimeout}, {m.SchedulingTimeout, state.SchedulingTimeout}, {m.Prewarm, state.Prewarm}, {m.AgentInjection, state.AgentInjection},
	} {
		if !pair[0].Equal(pair[1]) {
			return false
		}
	}
	return areKnown && len(changed) == 0
}

// hasRemovedSteps reports whether the state has steps that the run does not have any more, which may have written outputs.
func (m workflowRunModel) hasRemovedSteps(state workflowRunModel) bool {
	steps := m.Steps.Elements()
	return slices.ContainsFunc(slices.Collect(maps.Keys(state.Results.Elements())), func(name string) bool { return steps[name] == nil })
}

// listUnfinished returns the steps of a running run that have not succeeded yet.
func (m workflowRunModel) listUnfinished() map[string]string {
	runs := map[string]string{}
	for name := range m.Steps.Elements() {
		result, ok := m.Results.Elements()[name].(types.Object)
		if !ok || result.IsNull() || !result.Attributes()["status"].Equal(types.StringValue(string(workflow.Succeeded))) {
			runs[name] = "it has not ended"
		}
	}
	return runs
}

// planResults plans a result for each step: that of the state, or an unknown one if the step may run.
func (m *workflowRunModel) planResults(state workflowRunModel, runs map[string]string) {
	if m.Steps.IsUnknown() {
		m.Results = types.MapUnknown(resultType)
		return
	}
	results := map[string]attr.Value{}
	for name := range m.Steps.Elements() {
		known, found := state.Results.Elements()[name]
		if _, mayRun := runs[name]; mayRun || !found {
			known = types.ObjectUnknown(resultType.AttrTypes)
		}
		results[name] = known
	}
	m.Results = types.MapValueMust(resultType, results)
}

// setResultsUnknown makes the results of the run as a whole unknown, because it may be executed.
func (m *workflowRunModel) setResultsUnknown() {
	m.ExecutionID, m.Status = types.StringUnknown(), types.StringUnknown()
	m.StartedAt, m.FinishedAt, m.Duration = types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	m.OutputsDigest, m.ReportWrittenAt = types.StringUnknown(), types.StringUnknown()
	if m.ReportPath.IsNull() {
		m.ReportWrittenAt = types.StringNull()
	}
	if m.Outputs.IsNull() {
		m.OutputsDigest = types.StringNull()
	}
	if m.Outputs.IsNull() || m.Outputs.IsUnknown() {
		return
	}
	outputs := m.Outputs.Elements()
	for name, output := range outputs {
		if object, ok := output.(types.Object); ok && !object.IsUnknown() {
			outputs[name] = types.ObjectValueMust(outputType.AttrTypes, map[string]attr.Value{
				"path": object.Attributes()["path"], "size": types.Int64Unknown(), "sha256": types.StringUnknown(), "content": types.StringUnknown(),
			})
		}
	}
	m.Outputs = types.MapValueMust(outputType, outputs)
}

// planOutputs returns the planned outputs of a run that is not executed. Outputs with an unchanged path keep their values from the state. all reports whether
// these are all outputs, and the state has no others.
func planOutputs(plan, state types.Map) (outputs types.Map, all bool) {
	if plan.IsUnknown() || plan.IsNull() {
		return plan, plan.IsNull() && state.IsNull()
	}
	known, elements := state.Elements(), plan.Elements()
	all = len(elements) == len(known)
	for name, output := range elements {
		was, found := known[name].(types.Object)
		if object, ok := output.(types.Object); ok && found && !object.IsUnknown() && object.Attributes()["path"].Equal(was.Attributes()["path"]) {
			elements[name] = was
		} else {
			all = false
		}
	}
	return types.MapValueMust(outputType, elements), all
}

func toSet(names []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}
