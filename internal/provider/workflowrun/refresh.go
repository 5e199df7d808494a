package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// What a refresh finds out about a run that no engine executes: which of its outputs and of its steps' files are lost.

// hasStored reports whether Redis has results of steps.
func (m workflowRunModel) hasStored(ctx context.Context, diags *diag.Diagnostics) bool {
	return len(m.storedResults(ctx, diags)) > 0
}

// storedResults returns the results of the steps that have stored them: files, or a failure that is allowed.
func (m workflowRunModel) storedResults(ctx context.Context, diags *diag.Diagnostics) map[string]workflow.StepResult {
	found, steps := m.stepResults(ctx, diags), m.Steps.Elements()
	maps.DeleteFunc(found, func(name string, result workflow.StepResult) bool {
		isStored := result.Status == workflow.Succeeded || result.Status == workflow.Failed && allowsFailure(steps[name])
		return !isStored || result.Fingerprint.Check() != nil
	})
	return found
}

// refreshStored looks in Redis for the outputs of a run, of which missing ones are drift, and for the results of its steps. It returns the steps whose results are
// gone. It also reads the results of the steps in rerun.
func (r *runner) refreshStored(ctx context.Context, model *workflowRunModel, rerun []string, diags *diag.Diagnostics) (gone []string, ok bool) {
	id := model.ID.ValueString()
	redis, warnings, err := r.clients.RedisClient(ctx)
	if errors.Is(err, clients.ErrNotKnown) {
		diagnostic.AddNotRefreshed(diags, fmt.Sprintf("run %q", id))
		return nil, false
	}
	var store *results.Store
	if err == nil {
		diagnostic.AddRedisWarnings(diags, warnings)
		store, err = results.Open(redis, id, model.storedGraph(ctx, environment{packageVersion: r.clients.PackageVersion()}, diags))
	}
	if err == nil && len(rerun) > 0 {
		err = model.readResults(ctx, store, rerun, diags)
	}
	var lost []string
	areModified := false
	if err == nil && !model.OutputsDigest.IsNull() {
		lost, areModified, err = model.describeLostOutputs(ctx, store.Files())
		model.Drift = attribute.DriftValue(lost)
	}
	stored := model.storedResults(ctx, diags)
	var layers map[string]files.Layer
	if err == nil {
		gone, layers, err = store.FindGone(ctx, stored)
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to read outputs", fmt.Sprintf("Looking up the outputs and the files of run %q in Redis", id), err)
		return nil, false
	}
	if len(layers) > 0 {
		model.setDigests(layers)
	}
	if areModified { // a modified part of a file may belong to the files of any step
		maps.DeleteFunc(stored, func(name string, result workflow.StepResult) bool {
			return result.Status == workflow.Failed && !slices.Contains(gone, name)
		})
		gone = slices.Sorted(maps.Keys(stored))
	}
	return gone, true
}

// readResults sets the results of some steps to those in Redis.
func (m *workflowRunModel) readResults(ctx context.Context, store *results.Store, names []string, diags *diag.Diagnostics) error {
	var found workflow.Result
	if err := store.Refresh(ctx, &found); err != nil {
		return err
	}
	known := m.Results.Elements()
	for _, name := range names {
		result, isStored := found.Steps[name]
		if _, isStep := known[name]; !isStored || !isStep {
			continue
		}
		value, problems := types.ObjectValueFrom(ctx, resultType.AttrTypes, newResultModel(result, diags))
		diags.Append(problems...)
		known[name] = value
	}
	m.Results = types.MapValueMust(resultType, known)
	return nil
}

// setDigests sets the digests of steps whose files are in other layers by now: an execution that kept a step may have carried its changes over to other inputs,
// while the plan kept the digest.
func (m *workflowRunModel) setDigests(layers map[string]files.Layer) {
	known := m.Results.Elements()
	for name, layer := range layers {
		if result, ok := known[name].(types.Object); ok {
			attributes := result.Attributes()
			attributes["digest"] = types.StringValue(string(layer))
			known[name] = types.ObjectValueMust(resultType.AttrTypes, attributes)
		}
	}
	m.Results = types.MapValueMust(resultType, known)
}

// describeLostOutputs returns a message for each output that is missing or modified in Redis, as far as [files.Store.Damage] checks, and whether one is modified.
func (m workflowRunModel) describeLostOutputs(ctx context.Context, store *files.Store) (sentences []string, areModified bool, err error) {
	var diags diag.Diagnostics
	paths := m.outputPaths(ctx, &diags)
	gone, changed, err := store.Damage(ctx, files.Layer(m.OutputsDigest.ValueString()))
	if errors.Is(err, files.ErrGone) || errors.Is(err, files.ErrCorrupt) {
		areModified = errors.Is(err, files.ErrCorrupt)
		gone, err = slices.Collect(maps.Values(paths)), nil // the list of files is lost, and with it all outputs
	}
	if err != nil {
		return nil, false, err
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		what := ""
		switch {
		case slices.Contains(gone, paths[name]):
			what = "lost"
		case slices.Contains(changed, paths[name]):
			what, areModified = "modified", true
		default:
			continue
		}
		sentences = append(sentences, fmt.Sprintf("output %q (%s) was %s in Redis", name, paths[name], what))
	}
	return sentences, areModified, nil
}

// prepareAgain prepares a run of a state for another execution: an engine that executes it with another configuration is stopped, and what was modified in
// Redis is removed, so that it is stored again.
func (r *runner) prepareAgain(ctx context.Context, state *workflowRunModel, model workflowRunModel, diags *diag.Diagnostics) bool {
	id := state.ID.ValueString()
	if state.isDelegated() && model.waitsForEnd() {
		ref := workflow.Ref{ID: id, Namespace: state.Namespace.ValueString()}
		err := r.inCluster(ctx, state, func(client *kube.Client) error { return engine.DeleteEngines(ctx, client, ref) })
		if err != nil {
			diagnostic.AddError(diags, "Failed to stop run", fmt.Sprintf("Stopping the engine of run %q in namespace %q, which is to continue with another configuration", id, ref.Namespace), err)
			return false
		}
	}
	if len(state.Drift.Elements()) == 0 || state.OutputsDigest.IsNull() {
		return true
	}
	redis, _, err := r.clients.RedisClient(ctx)
	var store *files.Store
	if err == nil {
		store, err = results.OpenFiles(redis, id)
	}
	if err == nil {
		err = store.RemoveDamage(ctx, files.Layer(state.OutputsDigest.ValueString()))
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to remove modified outputs", fmt.Sprintf("Removing what was modified in Redis of the outputs of run %q", id), err)
	}
	return err == nil
}

// restoreResults sets the results of the steps that the plan kept to those of the plan, which Terraform requires, and returns the steps that have run
// nevertheless, because their results were gone. The next refresh reads the results of these.
func (m *workflowRunModel) restoreResults(planned types.Map, diags *diag.Diagnostics) (rerun []string) {
	found := m.Results.Elements()
	had := map[string]attr.Value{} // the status that the plan kept
	for name, known := range planned.Elements() {
		now, isFound := found[name].(types.Object)
		if known.IsUnknown() || !isFound || now.Equal(known) {
			continue
		}
		found[name] = known
		was, ok := known.(types.Object)
		if ok && now.Attributes()["status"].Equal(types.StringValue(string(workflow.Succeeded))) && !equalIn(now, was, "started_at", "fingerprint") {
			rerun = append(rerun, name)
			had[name] = was.Attributes()["status"]
		}
	}
	m.Results = types.MapValueMust(resultType, found)
	slices.Sort(rerun)
	for _, name := range rerun {
		title, cause := fmt.Sprintf("Step %q ran again", name), "but its files were needed and are not in Redis any more, so the step has run again"
		if had[name].Equal(types.StringValue(string(workflow.Failed))) {
			title, cause = fmt.Sprintf("Step %q has succeeded after all", name),
				"which was a failure that allow_failure allows, but the step has succeeded: either the failure was not stored in Redis any more, so the step has run again, or its pod had stored its files nevertheless"
		}
		diags.AddAttributeWarning(path.Root("steps").AtMapKey(name), title, fmt.Sprintf(
			"The plan kept the result of step %q of run %q, %s. results[%q] has its former result until the next refresh.", name, m.Name.ValueString(), cause, name))
	}
	return rerun
}

// equalIn reports whether two objects are equal in these attributes.
func equalIn(one, other types.Object, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !one.Attributes()[name].Equal(other.Attributes()[name]) })
}

// releaseOutputs lets the outputs of an earlier execution expire that this one has not kept. A failure costs memory in Redis only, until the run is destroyed.
func (r *runner) releaseOutputs(ctx context.Context, state, model workflowRunModel, diags *diag.Diagnostics) {
	before, now := files.Layer(state.OutputsDigest.ValueString()), files.Layer(model.OutputsDigest.ValueString())
	if before == "" || before == now {
		return
	}
	redis, _, err := r.clients.RedisClient(ctx)
	if err == nil {
		err = results.Release(ctx, redis, model.ID.ValueString(), before, now, attribute.DurationOrZero(model.Retention, diags))
	}
	if err != nil {
		tflog.Warn(ctx, "outputs not released", map[string]any{"run": model.ID.ValueString(), "error": err.Error()})
	}
}
