package provider

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

var (
	_ resource.ResourceWithConfigure      = &workflowRunResource{}
	_ resource.ResourceWithModifyPlan     = &workflowRunResource{}
	_ resource.ResourceWithValidateConfig = &workflowRunResource{}
)

// runTimeout bounds a run where `timeouts` does not.
const runTimeout = time.Hour

// contentLimit is the size up to which an output's text goes into the state; larger files would make every plan slow.
const contentLimit = 64 << 10

func newWorkflowRunResource() resource.Resource {
	return &workflowRunResource{resourceBase{name: "workflow_run"}}
}

type workflowRunResource struct{ resourceBase }

// ValidateConfig checks the graph as soon as the steps are known.
func (r *workflowRunResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var model workflowRunModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if !resp.Diagnostics.HasError() {
		model.checkSteps(ctx, &resp.Diagnostics)
	}
}

// ModifyPlan computes the run's id, which decides whether it is another run.
func (r *workflowRunResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return // destroy
	}
	var plan, state workflowRunModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	plan.planImages(ctx, state)
	checkPage(plan.Report, &resp.Diagnostics)
	id := types.StringUnknown()
	if plan.known() {
		graph := plan.graph(ctx, &resp.Diagnostics)
		_, digests := plan.sources(ctx, &resp.Diagnostics)
		identity := plan.identity(ctx, graph, digests, &resp.Diagnostics)
		if resp.Diagnostics.HasError() {
			return
		}
		id = types.StringValue(identity.ID())
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), id)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("images"), plan.Images)...)
	if req.State.Raw.IsNull() {
		return
	}
	if !id.Equal(state.ID) {
		resp.RequiresReplace.Append(path.Root("id"))
		return
	}
	// The same run: what it has done stays as it is, and what is declared of it as well.
	stays := map[string]any{
		"namespace": state.Namespace, "status": state.Status, "started_at": state.StartedAt, "finished_at": state.FinishedAt, "results": state.Results,
	}
	if sameOutputs(plan.Outputs, state.Outputs) {
		stays["outputs"], stays["outputs_layer"] = state.Outputs, state.OutputsLayer
	}
	for name, value := range stays {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func (r *workflowRunResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model, config workflowRunModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	limit, diags := model.Timeouts.Create(ctx, runTimeout)
	resp.Diagnostics.Append(diags...)
	model.SecretEnv = secretEnv(ctx, config, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, limit, "create")
	defer done()
	if r.execute(ctx, &model, &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

func (r *workflowRunResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model workflowRunModel
	resp.Diagnostics.Append(req.State.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() || model.OutputsLayer.IsNull() {
		return // a run without outputs leaves nothing that could get lost
	}
	id := model.ID.ValueString()
	redis, warnings, err := r.files(ctx)
	if errors.Is(err, errNotKnown) {
		notRefreshed(&resp.Diagnostics, fmt.Sprintf("run %q", id))
		return
	}
	var lost []string
	if err == nil {
		warnRedis(&resp.Diagnostics, warnings)
		lost, err = r.lost(ctx, redis, &model)
	}
	if err != nil {
		report(&resp.Diagnostics, "Outputs not looked up", fmt.Sprintf("Looking in Redis for the outputs of run %q", id), err)
		return
	}
	model.Drift = drift(lost)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *workflowRunResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model workflowRunModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	limit, diags := model.Timeouts.Update(ctx, runTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, limit, "update")
	defer done()
	// The same run. Unless other outputs or another report are asked for, only what bounds the next operation has changed.
	if unknown(model.OutputsLayer) && !r.retake(ctx, &model, &resp.Diagnostics) {
		return
	}
	var before types.String
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("report"), &before)...)
	if !model.Report.IsNull() && !model.Report.Equal(before) {
		var config workflowRunModel
		resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
		model.SecretEnv = secretEnv(ctx, config, &resp.Diagnostics) // to hide it
		r.rewritePage(ctx, &model, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *workflowRunResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model workflowRunModel
	resp.Diagnostics.Append(req.State.Get(ctx, &model)...)
	limit, diags := model.Timeouts.Delete(ctx, runTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, limit, "delete")
	defer done()

	id, namespace := model.ID.ValueString(), model.Namespace.ValueString()
	err := r.deleteObjects(ctx, model.Infrastructure.ValueString(), namespace, id)
	if err != nil {
		report(&resp.Diagnostics, "Run not deleted", fmt.Sprintf("Deleting the objects of run %q in namespace %q", id, namespace), err)
		return // its keys stay: a pod may still write
	}
	redis, _, err := r.files(ctx)
	if err == nil {
		var store *files.Store
		if store, err = workflow.Files(redis, id); err == nil {
			err = store.Delete(ctx)
		}
	}
	if err != nil {
		report(&resp.Diagnostics, "Files of the run not deleted", fmt.Sprintf("Deleting the keys of run %q in Redis", id), err)
	}
}

// deleteObjects removes the run from the cluster with the credential that made it. Where that is not registered any more or has lost its rights,
// it does so with the provider's own: Terraform destroys the run before it repairs what the run depends on.
func (r *workflowRunResource) deleteObjects(ctx context.Context, infrastructure, namespace, id string) error {
	target, err := r.infrastructure(ctx, infrastructure)
	if err == nil {
		err = workflow.Delete(ctx, target.kube, namespace, id)
	}
	if !notGood(err) {
		return err
	}
	own, ownErr := r.kube(types.StringNull())
	if ownErr == nil {
		ownErr = workflow.Delete(ctx, own, namespace, id)
	}
	if ownErr != nil {
		return fmt.Errorf("%w; and with the provider's own account: %w", err, ownErr)
	}
	return nil
}

// notGood says whether an error comes from a registered credential that is missing, unusable, without rights, or of a cluster that was made anew.
func notGood(err error) bool {
	var encoding *infra.EncodingError
	var field *credentials.FieldError
	var certificate *tls.CertificateVerificationError
	return errors.Is(err, infra.ErrNoLocation) || errors.Is(err, infra.ErrNoSecret) || errors.As(err, &encoding) || errors.As(err, &field) ||
		errors.As(err, &certificate) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

// execute carries the run to its end and fills the model. It returns whether there is anything to keep in the state.
func (r *workflowRunResource) execute(ctx context.Context, model *workflowRunModel, diags *diag.Diagnostics) bool {
	run, ok := r.prepare(ctx, model, diags)
	if !ok {
		return false
	}
	progress := watchProgress(ctx, run, nil)
	result, problem := run.Execute(ctx)
	progress.end(result, problem)
	err := problem
	status := "succeeded"
	var taken *workflow.TakenError
	switch {
	case errors.As(err, &taken):
		diags.AddAttributeError(path.Root("name"), "Run exists elsewhere", taken.Error()+".")
		return false // what is there is another's, which a destroy must not touch
	case err != nil:
		status = "stopped"
		report(diags, "Run not finished", fmt.Sprintf("Running %q in namespace %q of the cluster at %s", run.ID, run.Namespace, run.Kube.Host()), err)
	case len(result.Failures) > 0:
		status = "failed"
		reportFailures(diags, model.Name.ValueString(), result)
	}
	reportAllowed(diags, model.Name.ValueString(), result)
	model.setResult(ctx, status, result, diags)
	var layer files.Layer
	var outputs map[string]outputModel
	paths := model.outputPaths(ctx, diags)
	if status == "succeeded" {
		if layer, outputs, err = takeOutputs(ctx, run, result, paths); err != nil {
			reportOutputs(diags, run.ID, paths, err)
		}
	}
	if outputs == nil { // no unknown value may be left
		outputs = map[string]outputModel{}
		for name, file := range paths {
			outputs[name] = outputModel{Path: types.StringValue(file)}
		}
	}
	model.setOutputs(ctx, layer, outputs, diags)
	writePage(ctx, run, model, progress, result, problem, diags)
	return true
}

// retake takes the outputs of a run that is over. It returns whether it could.
func (r *workflowRunResource) retake(ctx context.Context, model *workflowRunModel, diags *diag.Diagnostics) bool {
	run := &workflow.Run{ID: model.ID.ValueString(), Graph: model.graph(ctx, diags)}
	paths := model.outputPaths(ctx, diags)
	if len(paths) == 0 {
		model.setOutputs(ctx, "", map[string]outputModel{}, diags)
	}
	if diags.HasError() || len(paths) == 0 {
		return !diags.HasError()
	}
	redis, warnings, err := r.files(ctx)
	if err != nil {
		report(diags, "Redis not usable", fmt.Sprintf("Connecting to Redis to take the outputs of run %q", run.ID), err)
		return false
	}
	warnRedis(diags, warnings)
	run.Redis = redis
	result, err := run.Recall(ctx)
	if err == nil {
		var layer files.Layer
		var outputs map[string]outputModel
		if layer, outputs, err = takeOutputs(ctx, run, result, paths); err == nil {
			model.setOutputs(ctx, layer, outputs, diags)
			return true
		}
	}
	reportOutputs(diags, run.ID, paths, err)
	return false
}

// prepare makes the run from the plan and checks all that can be checked before anything is made in the cluster.
func (r *workflowRunResource) prepare(ctx context.Context, model *workflowRunModel, diags *diag.Diagnostics) (*workflow.Run, bool) {
	model.pinImages(ctx, diags)
	graph := model.graph(ctx, diags)
	sources, digests := model.sources(ctx, diags)
	identity := model.identity(ctx, graph, digests, diags)
	retention, found := model.Retention.ValueGoDuration()
	diags.Append(found...)
	if diags.HasError() {
		return nil, false
	}
	id := identity.ID()
	if !model.ID.IsUnknown() && model.ID.ValueString() != id {
		diags.AddAttributeError(path.Root("inputs"), "Inputs have changed since the plan",
			fmt.Sprintf("Run %q was planned, but a file that is the source of an input now has other content. Plan again.", model.ID.ValueString()))
		return nil, false
	}
	if graph = programs(ctx, graph, diags); diags.HasError() {
		return nil, false
	}
	name := model.Infrastructure.ValueString()
	target, err := r.infrastructure(ctx, name)
	if err != nil {
		diags.AddAttributeError(path.Root("infrastructure"), "Infrastructure not usable", explain(fmt.Sprintf("Looking up infrastructure %q to run %q on it", name, id), err))
		return nil, false
	}
	redis, warnings, err := r.files(ctx)
	if err != nil {
		report(diags, "Redis not usable", fmt.Sprintf("Connecting to Redis to store the files of run %q", id), err)
		return nil, false
	}
	warnRedis(diags, warnings)
	url, err := r.stepRedisURL(target.MountDFS)
	if err != nil {
		report(diags, "Redis not usable", fmt.Sprintf("Finding the address under which the steps of run %q reach Redis", id), err)
		return nil, false
	}
	model.ID, model.Namespace = types.StringValue(id), types.StringValue(target.Namespace)
	return &workflow.Run{
		ID: id, Graph: graph, Inputs: sources, Kube: target.kube, Namespace: target.Namespace, AgentImage: r.agentImage,
		Redis: redis, RedisURL: url, Retention: retention, Parallel: int(model.Parallelism.ValueInt64()),
	}, true
}

// takeOutputs keeps the declared outputs in Redis and reads what goes into the state.
func takeOutputs(ctx context.Context, run *workflow.Run, result workflow.Result, paths map[string]string) (files.Layer, map[string]outputModel, error) {
	if len(paths) == 0 {
		return "", nil, nil
	}
	layer, err := run.Keep(ctx, result, slices.Sorted(maps.Values(paths)))
	if err != nil {
		return "", nil, err
	}
	store, err := workflow.Files(run.Redis, run.ID)
	if err != nil {
		return "", nil, err
	}
	tree, err := store.Tree(ctx, layer)
	if err != nil {
		return "", nil, err
	}
	outputs := map[string]outputModel{}
	for name, file := range paths {
		entry, _ := tree.Lookup(file) // Keep has found every path
		output := outputModel{Path: types.StringValue(file), Size: types.Int64Value(entry.Size), SHA256: types.StringValue(entry.SHA256.String())}
		if entry.Size <= contentLimit {
			var content bytes.Buffer
			if err := store.Read(ctx, entry, &content); err != nil {
				return "", nil, fmt.Errorf("read output %q: %w", file, err)
			}
			if utf8.Valid(content.Bytes()) {
				output.Content = types.StringValue(content.String())
			}
		}
		outputs[name] = output
	}
	return layer, outputs, nil
}
