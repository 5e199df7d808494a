package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// contentLimit is the maximum size of an output whose text is stored in the state; larger files would make every plan slow.
const contentLimit = 64 << 10

// The values of on_interrupt.
const (
	stop   = "stop"
	detach = "detach"
)

// workflowRun is a run with what its operations need.
type workflowRun struct {
	spec    *workflow.Spec
	clients engine.Clients // for a run that is not executed by this process only its Results and, to look at its record, Kube
	options engine.Options
	owner   string // the execution that owned the run before it was created here; empty if there was none, and for an update
}

// runner runs workflows for the resource and for the action.
type runner struct{ clients *clients.Clients }

// executeRun runs the workflow to its end and sets the results in the model. It returns whether there is anything to store in the state.
func (r *runner) executeRun(ctx context.Context, model *workflowRunModel, env environment, why occasion, diags *diag.Diagnostics) bool {
	run, ok := r.prepareRun(ctx, model, env, why, diags)
	if !ok {
		return false
	}
	if run.spec.Configuration, ok = r.encodeStarted(ctx, *model, diags); !ok {
		return false
	}
	return finishRun(ctx, run, model, diags)
}

// finishRun runs a prepared run to its end, or starts its engine, and sets the results in the model. It returns whether there is anything to store in the state.
func finishRun(ctx context.Context, run *workflowRun, model *workflowRunModel, diags *diag.Diagnostics) bool {
	if !model.waitsForEnd() {
		return startDetached(ctx, run, model, diags)
	}
	progress := watchProgress(ctx, run, nil)
	result, problem := engine.Execute(ctx, run.spec, run.clients, run.options)
	if held := new(workflow.HeldError); errors.As(problem, &held) {
		// The holder may be an engine whose apply, with wait = false, was killed.
		if adopted, err := detached.Adopt(ctx, run.clients.Kube, run.spec, run.options.Holder, model.keptPaths(ctx, diags)); adopted && err == nil {
			if !awaitEnd(ctx, run, model, diags) {
				model.setRunning(ctx, workflow.RunRunning, diags)
			}
			return true
		}
	}
	progress.finish(result, problem)
	err := problem
	status := result.Status(err)
	var continues *workflow.StepsContinueError
	switch {
	case isOwnedElsewhere(err):
		reportOwnedElsewhere(diags, run, err)
		return false // the objects belong to another run, which a destroy must not delete
	case errors.As(err, &continues) && !errors.Is(err, context.Canceled):
		status = workflow.RunRunning
		model.reportUnfinished(diags, run, err, applyAgain)
	case errors.As(err, &continues):
		status = workflow.RunRunning
		diags.AddError("Run detached", fmt.Sprintf("Interrupted while running %q in namespace %q. on_interrupt is \"detach\", so its Jobs keep running. "+
			"Apply again to resume the run: completed steps do not run again. To stop it, destroy it.", run.spec.ID, run.spec.Namespace))
	case err != nil:
		model.reportUnfinished(diags, run, err, applyAgain)
		if !run.isOwner(err) && !model.keepOwner(run) {
			return false
		}
	case len(result.Failures) > 0:
		reportFailures(diags, model.Name.ValueString(), result)
	}
	reportAllowed(diags, model.Name.ValueString(), result)
	var layer files.Layer
	var outputs map[string]outputModel
	paths := model.outputPaths(ctx, diags)
	if status == workflow.RunSucceeded {
		if layer, outputs, err = takeOutputs(ctx, run.clients.Results, result, paths); err != nil {
			reportOutputs(diags, run.spec.ID, paths, err)
			status = workflow.RunStopped // the run can be resumed
		}
	}
	model.setResult(ctx, status, result, diags)
	if outputs == nil {
		outputs = emptyOutputs(paths)
	}
	model.setOutputs(ctx, layer, outputs, diags)
	writePage(ctx, run, model, progress, result, problem, diags)
	return true
}

// isOwner reports whether the run belongs to this execution, although it has ended with an error.
func (*workflowRun) isOwner(err error) bool {
	var notStarted *workflow.NotStartedError
	return !errors.As(err, &notStarted) || notStarted.IsOwner
}

// keepOwner handles a run that still belongs to the execution before: that is the one to store in the state of a new resource, so that destroying it deletes the
// run. It returns false if there is none to store; an update leaves the state as it is.
func (m *workflowRunModel) keepOwner(run *workflowRun) bool {
	if run.owner == "" {
		return false
	}
	m.ExecutionID = types.StringValue(run.owner)
	return true
}

// applyAgain is how a run of a resource continues that has not finished.
const applyAgain = "Apply again to resume the run: completed steps do not run again. Or destroy it."

// reportUnfinished adds the error of a run that was interrupted, has exceeded its timeout, or could not continue. again is how it continues.
func (m workflowRunModel) reportUnfinished(diags *diag.Diagnostics, run *workflowRun, err error, again string) {
	tried := fmt.Sprintf("Running %q in namespace %q of the cluster at %s", run.spec.ID, run.spec.Namespace, run.clients.Kube.Host())
	var limit *attribute.LimitError
	switch {
	case errors.Is(err, context.Canceled):
		diags.AddError("Run interrupted", fmt.Sprintf("Interrupted while running %q in namespace %q. %s %s", run.spec.ID, run.spec.Namespace, describeStop(err), again))
	case errors.As(err, &limit):
		stopped := describeStop(err)
		if failed := new(workflow.NotStoppedError); errors.As(err, &failed) {
			err = failed.Err // stopped contains the other error
		}
		diags.AddError("Run timed out", fmt.Sprintf("%s: %v.\n\n%s Raise timeouts.%s if the run needs more time. %s", tried, err, stopped, limit.Operation, again))
	default:
		m.reportError(diags, "Failed to finish run", tried, err)
		if continues := new(workflow.StepsContinueError); errors.As(err, &continues) {
			diags.AddWarning("Run continues", fmt.Sprintf("The running steps of %q were not stopped. %s", run.spec.ID, again))
		}
	}
}

// reportError adds an error of a run, on the attribute that names its namespace if that does not exist.
func (m workflowRunModel) reportError(diags *diag.Diagnostics, summary, tried string, err error) {
	var missing *workflow.MissingNamespaceError
	switch {
	case !errors.As(err, &missing):
		diagnostic.AddError(diags, summary, tried, err)
	case m.hasInfrastructure():
		diags.AddAttributeError(path.Root("infrastructure"), summary, diagnostic.ErrorDetail(tried, err))
	default:
		diags.AddAttributeError(path.Root("namespace"), summary, diagnostic.ErrorDetail(tried, err))
	}
}

// describeStop returns a sentence about the running steps of an interrupted run.
func describeStop(err error) string {
	var failed *workflow.NotStoppedError
	var notStarted *workflow.NotStartedError
	switch {
	case errors.As(err, &notStarted):
		return "No step was started; steps of an earlier apply may still be running."
	case errors.As(err, &failed):
		return fmt.Sprintf("Stopping the running steps failed, so they may continue: %v.", failed.Stop)
	}
	return "The running steps were stopped."
}

// emptyOutputs returns the declared outputs without sizes, digests and content: no value may stay unknown after apply.
func emptyOutputs(paths map[string]string) map[string]outputModel {
	outputs := map[string]outputModel{}
	for name, file := range paths {
		outputs[name] = outputModel{Path: types.StringValue(file)}
	}
	return outputs
}

// rereadOutputs reads the outputs of a run that has ended. It returns whether it succeeded.
func (r *runner) rereadOutputs(ctx context.Context, model *workflowRunModel, graph workflow.Graph, diags *diag.Diagnostics) bool {
	id := model.ID.ValueString()
	paths := model.outputPaths(ctx, diags)
	if len(paths) == 0 {
		model.setOutputs(ctx, "", map[string]outputModel{}, diags)
	}
	if diags.HasError() || len(paths) == 0 {
		return !diags.HasError()
	}
	redis, warnings, err := r.clients.RedisClient(ctx)
	if err != nil {
		diagnostic.AddError(diags, "Failed to connect to Redis", fmt.Sprintf("Connecting to Redis to read the outputs of run %q", id), err)
		return false
	}
	diagnostic.AddRedisWarnings(diags, warnings)
	store, err := results.Open(redis, id, graph)
	if err == nil {
		// The results are those of the state: commits of steps that wrote none of the outputs may have expired.
		result := workflow.Result{Steps: model.stepResults(ctx, diags)}
		var layer files.Layer
		var outputs map[string]outputModel
		if layer, outputs, err = takeOutputs(ctx, store, result, paths); err == nil {
			model.setOutputs(ctx, layer, outputs, diags)
			return true
		}
	}
	reportOutputs(diags, id, paths, err)
	return false
}

// takeOutputs removes the expiry of the declared outputs in Redis and reads the values for the state.
func takeOutputs(
	ctx context.Context, store *results.Store, result workflow.Result, paths map[string]string,
) (files.Layer, map[string]outputModel, error) {
	if len(paths) == 0 {
		return "", nil, nil
	}
	layer, outputs, err := store.TakeOutputs(ctx, result, slices.Sorted(maps.Values(paths)), contentLimit)
	if err != nil {
		return "", nil, err
	}
	return layer, newOutputModels(outputs, paths), nil
}

// newOutputModels returns the values of outputs for the state. An output that was not written, because a fan-out step has no indexes, has no values.
func newOutputModels(outputs results.Outputs, paths map[string]string) map[string]outputModel {
	models := emptyOutputs(paths)
	for name, file := range paths {
		output, isWritten := outputs[file]
		if !isWritten {
			continue
		}
		model := outputModel{Path: types.StringValue(file), Size: types.Int64Value(output.Size), SHA256: types.StringValue(output.SHA256.String())}
		if output.Content != nil && utf8.Valid(output.Content) {
			model.Content = types.StringValue(string(output.Content))
		}
		models[name] = model
	}
	return models
}

// describeHolder describes this process in the lease of a run: user, host and process ID.
func describeHolder() string {
	name, host := "an unknown user", "an unknown host"
	if current, err := user.Current(); err == nil {
		name = current.Username
	}
	if known, err := os.Hostname(); err == nil {
		host = known
	}
	return fmt.Sprintf("%s on %s, process %d", name, host, os.Getpid())
}

// isOwnedElsewhere reports whether the error says that the run belongs to another process, so that nothing of it may be stored in this state.
func isOwnedElsewhere(err error) bool {
	var held *workflow.HeldError
	var lost *workflow.LostError
	return errors.As(err, &held) || errors.As(err, &lost)
}

func reportOwnedElsewhere(diags *diag.Diagnostics, run *workflowRun, err error) {
	diags.AddError("Run locked by another apply", diagnostic.ErrorDetail(fmt.Sprintf("Running %q in namespace %q", run.spec.ID, run.spec.Namespace), err)+
		"\n\nWait until that apply has ended, then apply again: completed steps do not run again. If that process was killed, the lock expires within 30 seconds.")
}
