package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// Runs with `wait = false`, which an engine runs inside the cluster: Create starts it, Read reads its state, Update waits for it or changes its outputs.

// waitsForEnd reports whether apply waits for the end of the run.
func (m workflowRunModel) waitsForEnd() bool {
	return m.Wait.IsNull() || m.Wait.IsUnknown() || m.Wait.ValueBool()
}

// isDelegated reports whether an engine was still running the workflow when the state was written.
func (m workflowRunModel) isDelegated() bool {
	return !m.waitsForEnd() && m.Status.ValueString() == string(workflow.RunRunning)
}

// keptPaths returns the paths of the declared outputs, sorted.
func (m workflowRunModel) keptPaths(ctx context.Context, diags *diag.Diagnostics) []string {
	return slices.Sorted(maps.Values(m.outputPaths(ctx, diags)))
}

// startDetached starts an engine that runs the workflow inside the cluster. It returns whether there is anything to store in the state.
func startDetached(ctx context.Context, run *workflowRun, model *workflowRunModel, diags *diag.Diagnostics) bool {
	status := workflow.RunRunning
	writePreviousPage(ctx, run, model, diags)
	watchProgress(ctx, run, nil)
	err := detached.Start(ctx, run.spec, run.clients, run.options, model.keptPaths(ctx, diags))
	var account *workflow.AccountError
	var fit *jobspec.EngineFitError
	switch {
	case errors.As(err, &fit):
		diags.AddAttributeError(path.Root("wait"), "Engine does not fit namespace", diagnostic.ErrorDetail(fmt.Sprintf("Starting the engine of run %q in namespace %q of the cluster at %s; nothing was created", run.spec.ID, run.spec.Namespace, run.clients.Kube.Host()), err)+
			"\n\nChange engine.resources if it sets them, or limit_range or resource_quota of brane_namespace, or set wait = true: then the workflow runs without an engine in the namespace.")
		return false
	case errors.As(err, &account):
		status = workflow.RunStopped
		diags.AddAttributeError(path.Root("wait"), "Failed to create service account", diagnostic.ErrorDetail(fmt.Sprintf("Starting the engine of run %q in namespace %q of the cluster at %s", run.spec.ID, run.spec.Namespace, run.clients.Kube.Host()), err)+
			"\n\nWith wait = false a pod runs the workflow, with a service account that is created for it. Name one that exists in engine.service_account_name, or set wait = true, which needs none.")
	case isOwnedElsewhere(err):
		reportOwnedElsewhere(diags, run, err)
		return false
	case err != nil:
		status = workflow.RunStopped
		model.reportError(diags, "Failed to start engine", fmt.Sprintf("Starting the engine of run %q in namespace %q of the cluster at %s", run.spec.ID, run.spec.Namespace, run.clients.Kube.Host()), err)
		if !run.isOwner(err) && !model.keepOwner(run) {
			return false
		}
	}
	model.setRunning(ctx, status, diags)
	return true
}

// setRunning sets the results of a run that has not ended to null.
func (m *workflowRunModel) setRunning(ctx context.Context, status workflow.RunStatus, diags *diag.Diagnostics) {
	m.setResult(ctx, status, workflow.Result{}, diags)
	m.setOutputs(ctx, "", emptyOutputs(m.outputPaths(ctx, diags)), diags)
	m.ReportWrittenAt = types.StringNull()
}

// writePreviousPage writes the report of a run that failed inside the cluster, before an engine is started again: afterwards that result is gone.
func writePreviousPage(ctx context.Context, run *workflowRun, model *workflowRunModel, diags *diag.Diagnostics) {
	if model.ReportPath.IsNull() {
		return
	}
	found, err := detached.ReadStatus(ctx, run.clients.Kube, run.spec.Ref())
	if err != nil || found.Status == workflow.RunRunning || len(found.Steps) == 0 || run.clients.Results.Refresh(ctx, &found.Result) != nil {
		return // there is no outcome, or starting the engine will report the problem
	}
	writePage(ctx, run, model, &runProgress{}, found.Result, stopReason(found), diags)
}

// awaitEnd waits until an engine has ended the run, and sets the results in the model. It returns whether the run has ended.
func awaitEnd(ctx context.Context, run *workflowRun, model *workflowRunModel, diags *diag.Diagnostics) bool {
	if run.options.Observe == nil { // the run was started by an earlier apply
		watchProgress(ctx, run, nil)
	}
	found, err := detached.Wait(ctx, run.clients.Kube, run.spec.Ref(), run.options.Observe)
	if err == nil {
		err = run.clients.Results.Refresh(ctx, &found.Result)
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to wait for run", fmt.Sprintf("Waiting for the end of run %q in namespace %q", run.spec.ID, run.spec.Namespace), err)
		diags.AddWarning("Run continues", fmt.Sprintf("Run %q continues inside the cluster. Apply again to wait for it to end. To stop it, destroy it.", run.spec.ID))
		return false
	}
	reportOutcome(diags, model, found)
	paths := model.outputPaths(ctx, diags)
	outputs, layer := emptyOutputs(paths), files.Layer("")
	if found.Status == workflow.RunSucceeded {
		taken, kept, err := takeOutputs(ctx, run.clients.Results, found.Result, paths)
		if err != nil {
			reportOutputs(diags, run.spec.ID, paths, err)
			found.Status = workflow.RunStopped
		} else if kept != nil {
			outputs, layer = kept, taken
		}
	}
	model.setResult(ctx, found.Status, found.Result, diags)
	model.setOutputs(ctx, layer, outputs, diags)
	writePage(ctx, run, model, &runProgress{}, found.Result, stopReason(found), diags)
	return true
}

// stopReason returns why a run stopped; nil if it did not.
func stopReason(found detached.Status) error {
	if found.Status != workflow.RunStopped {
		return nil
	}
	return errors.New(found.Reason())
}

// reportOutcome adds an error for each failure of a run that has ended.
func reportOutcome(diags *diag.Diagnostics, model *workflowRunModel, found detached.Status) {
	reportFailures(diags, model.Name.ValueString(), found.Result)
	reportAllowed(diags, model.Name.ValueString(), found.Result)
	if found.Status == workflow.RunStopped {
		diags.AddError(fmt.Sprintf("Run %q stopped", model.Name.ValueString()), found.Reason()+"\n\nApply again to resume the run: completed steps do not run again. Or destroy it.")
	}
}

// updateDetachedRun updates a run that an engine runs: it waits for the end, or passes the changed outputs to the engine. It returns whether there is anything new to store.
func (r *runner) updateDetachedRun(ctx context.Context, model *workflowRunModel, env environment, diags *diag.Diagnostics) bool {
	run, ok := r.delegatedRun(ctx, model, env, diags)
	if !ok {
		return false
	}
	kept := false
	err := r.inCluster(ctx, model, func(client *kube.Client) error {
		run.clients.Kube = client
		if model.waitsForEnd() {
			kept = awaitEnd(ctx, run, model, diags)
			return nil
		}
		if !attribute.HasUnknown(model.OutputsDigest) {
			kept = true // the outputs are unchanged
			return nil
		}
		model.setOutputs(ctx, "", emptyOutputs(model.outputPaths(ctx, diags)), diags)
		kept = true
		return detached.SetOutputs(ctx, run.clients.Kube, run.spec.Ref(), model.keptPaths(ctx, diags))
	})
	if err != nil {
		diagnostic.AddError(diags, "Failed to update run", fmt.Sprintf("Looking up in namespace %q run %q", run.spec.Namespace, run.spec.ID), err)
	}
	return kept && err == nil
}

// refreshRun reads the state of a run that an engine runs, and sets the results in the model. A failure is drift, and a warning contains its details. It returns
// whether it succeeded.
func (r *runner) refreshRun(ctx context.Context, model *workflowRunModel, env environment, diags *diag.Diagnostics) bool {
	run, ok := r.delegatedRun(ctx, model, env, diags)
	if !ok {
		return false
	}
	var found detached.Status
	err := r.inCluster(ctx, model, func(client *kube.Client) (err error) {
		run.clients.Kube = client
		found, err = detached.ReadStatus(ctx, run.clients.Kube, run.spec.Ref())
		return err
	})
	if errors.Is(err, clients.ErrNotKnown) {
		diagnostic.AddNotRefreshed(diags, fmt.Sprintf("run %q", run.spec.ID))
		return false
	}
	if kube.IsUnreachable(err) && !model.Cluster.IsNull() && run.clients.Kube != nil {
		diagnostic.AddUnreachable(diags, model.Cluster, run.clients.Kube.Host(), fmt.Sprintf("run %q", run.spec.ID), err)
		return false
	}
	outputs, paths := map[string]outputModel(nil), model.outputPaths(ctx, diags)
	if err == nil {
		err = run.clients.Results.Refresh(ctx, &found.Result)
	}
	if err == nil && found.Outputs != "" {
		outputs, err = readOutputs(ctx, run.clients.Results, found.Outputs, paths)
	}
	if err != nil && !errors.Is(err, files.ErrGone) {
		diagnostic.AddError(diags, "Failed to read run", fmt.Sprintf("Reading the state of run %q in namespace %q", run.spec.ID, run.spec.Namespace), err)
		return false
	}
	var told diag.Diagnostics
	reportOutcome(&told, model, found)
	if found.Status == workflow.RunRunning && found.Problem != "" {
		told.AddWarning(fmt.Sprintf("Run %q is blocked", model.Name.ValueString()), found.Problem+"\n\nThe engine in the cluster keeps retrying.")
	}
	for _, d := range told {
		diags.AddWarning(d.Summary(), d.Detail())
	}
	if outputs == nil {
		outputs = emptyOutputs(paths)
	}
	model.setResult(ctx, found.Status, found.Result, diags)
	model.setOutputs(ctx, found.Outputs, outputs, diags)
	if found.Status == workflow.RunRunning {
		model.ReportWrittenAt = types.StringNull()
	}
	model.Drift = attribute.DriftValue(describeFailures(found, err))
	return true
}

// describeFailures returns a message for each reason to continue the run.
func describeFailures(found detached.Status, lost error) (sentences []string) {
	for _, failure := range found.Failures {
		sentence := fmt.Sprintf("step %q failed: %s", failure.Step, failure.Reason)
		if failure.Cause != "" {
			sentence += ": " + failure.Cause
		}
		if failure.Code != 0 {
			sentence += fmt.Sprintf(", exit code %d", failure.Code)
		}
		sentences = append(sentences, sentence)
	}
	if found.Status == workflow.RunStopped {
		sentences = append(sentences, "the run stopped: "+found.Reason())
	}
	if lost != nil {
		sentences = append(sentences, "the files of the run were lost in Redis")
	}
	return sentences
}

// delegatedRun returns the run of a state, with the fields that are needed to read its state.
func (r *runner) delegatedRun(ctx context.Context, model *workflowRunModel, env environment, diags *diag.Diagnostics) (*workflowRun, bool) {
	run := &workflowRun{spec: &workflow.Spec{ID: model.ID.ValueString(), Namespace: model.Namespace.ValueString(), Graph: model.storedGraph(ctx, env, diags)}}
	if diags.HasError() {
		return nil, false
	}
	client, warnings, err := r.clients.RedisClient(ctx)
	if errors.Is(err, clients.ErrNotKnown) {
		diagnostic.AddNotRefreshed(diags, fmt.Sprintf("run %q", run.spec.ID))
		return nil, false
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to connect to Redis", fmt.Sprintf("Connecting to Redis to look for run %q", run.spec.ID), err)
		return nil, false
	}
	diagnostic.AddRedisWarnings(diags, warnings)
	run.clients.Results, err = results.Open(client, run.spec.ID, run.spec.Graph)
	if err != nil {
		diagnostic.AddError(diags, "Failed to read run", fmt.Sprintf("Opening the files of run %q", run.spec.ID), err)
		return nil, false
	}
	return run, true
}

// readOutputs reads the values of outputs that are kept in Redis.
func readOutputs(ctx context.Context, store *results.Store, layer files.Layer, paths map[string]string) (map[string]outputModel, error) {
	outputs, err := store.ReadOutputs(ctx, layer, slices.Sorted(maps.Values(paths)), contentLimit)
	if err != nil {
		return nil, err
	}
	return newOutputModels(outputs, paths), nil
}
