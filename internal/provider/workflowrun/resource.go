// Package workflowrun implements the resource brane_workflow_run and the action brane_run_workflow.
package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var (
	_ resource.ResourceWithConfigure      = &workflowRunResource{}
	_ resource.ResourceWithModifyPlan     = &workflowRunResource{}
	_ resource.ResourceWithValidateConfig = &workflowRunResource{}
)

// runTimeout is the default time limit of a run.
const runTimeout = time.Hour

// NewResource returns the resource `brane_workflow_run`.
func NewResource() resource.Resource { return &workflowRunResource{} }

type workflowRunResource struct{ runner runner }

func (r *workflowRunResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_workflow_run"
}

func (r *workflowRunResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.runner.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig checks the graph as soon as the steps are known.
func (r *workflowRunResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var model workflowRunModel
	if attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		model.checkSteps(ctx, &resp.Diagnostics)
		model.checkEngine(ctx, &resp.Diagnostics)
		model.checkSubmit(&resp.Diagnostics)
		model.checkRetention(ctx, &resp.Diagnostics)
	}
}

// ModifyPlan computes the id of the run; if it differs from the one in the state, the run is replaced.
func (r *workflowRunResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(resp.Private.SetKey(ctx, successorKey, []byte(`""`))...)
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
	var found diag.Diagnostics
	config := plan
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(secretEnvAttribute), &config.SecretEnvWO)...) // a plan has no write-only values
	env := environment{r.runner.clients.PackageVersion(), config.secretEnv(&found)}
	graph := plan.decodeGraph(ctx, env, &found)
	if !found.HasError() {
		plan.planImages(ctx, graph, state, env)
		plan.checkSizes(ctx, graph, &resp.Diagnostics)
	}
	r.runner.checkCertificates(plan, &resp.Diagnostics)
	checkPage(plan.ReportPath, &resp.Diagnostics)
	id := types.StringUnknown()
	if plan.hasKnownIdentity() {
		resp.Diagnostics.Append(found...) // with unknown values, an error only says that they cannot be decoded
		_, digests := plan.readSources(ctx, &resp.Diagnostics)
		identity := plan.identity(ctx, plan.withPinnedImages(graph), digests, &resp.Diagnostics)
		if resp.Diagnostics.HasError() {
			return
		}
		id = types.StringValue(identity.ID())
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), id)...)
	successor := []byte(unknownSuccessor)
	if !id.IsUnknown() {
		successor = fmt.Appendf(nil, "%q", id.ValueString())
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, successorKey, successor)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("images"), plan.Images)...)
	if req.State.Raw.IsNull() || !id.Equal(state.ID) || state.resumesInPlace(plan) {
		r.runner.warnExpiringToken(ctx, plan, &resp.Diagnostics)
	}
	if req.State.Raw.IsNull() {
		return
	}
	if !id.Equal(state.ID) {
		resp.RequiresReplace.Append(path.Root("id"))
		return
	}
	if state.resumesInPlace(plan) {
		resp.Diagnostics.Append(plan.setResultsUnknown(ctx)...)
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
		return
	}
	// The run is not replaced: its results keep their values.
	stays := map[string]any{"namespace": state.Namespace, "execution_id": state.ExecutionID}
	if !state.isDelegated() || !plan.waitsForEnd() { // otherwise apply sets the results
		maps.Copy(stays, map[string]any{"status": state.Status, "started_at": state.StartedAt, "finished_at": state.FinishedAt, "duration": state.Duration, "results": state.Results})
		outputs, all := planOutputs(plan.Outputs, state.Outputs)
		stays["outputs"] = outputs
		if all {
			stays["outputs_digest"] = state.OutputsDigest
		}
	}
	stays["report_written_at"] = state.ReportWrittenAt
	if plan.shouldWriteReport(state) {
		stays["report_written_at"] = types.StringUnknown()
	}
	for name, value := range stays {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func (r *workflowRunResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model, config workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "create", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	env := environment{r.runner.clients.PackageVersion(), config.secretEnv(&resp.Diagnostics)}
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, successorKey, []byte(`""`))...)
	kept := replaced.takeKept(r.runner.clients, model)
	run, ok := r.runner.prepareRun(ctx, &model, env, &resp.Diagnostics)
	if ok {
		kept = r.deletePredecessors(ctx, kept, model.sameRun, &resp.Diagnostics) // all of its steps are to run again
		ok = finishRun(ctx, run, &model, &resp.Diagnostics)
	}
	if ok {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
		if status := workflow.RunStatus(model.Status.ValueString()); status == workflow.RunSucceeded || status == workflow.RunRunning {
			kept = r.deletePredecessors(ctx, kept, model.otherRun, &resp.Diagnostics)
		}
	}
	warnKept(kept, &resp.Diagnostics)
}

func (r *workflowRunResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "read", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	if !model.waitsForEnd() && model.Status.ValueString() != string(workflow.RunSucceeded) {
		if r.runner.refreshRun(ctx, &model, environment{packageVersion: r.runner.clients.PackageVersion()}, &resp.Diagnostics) {
			resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
		}
		return
	}
	if model.OutputsDigest.IsNull() {
		return // a run without outputs has nothing that could be lost
	}
	id := model.ID.ValueString()
	redis, warnings, err := r.runner.clients.RedisClient(ctx)
	if errors.Is(err, clients.ErrNotKnown) {
		diagnostic.AddNotRefreshed(&resp.Diagnostics, fmt.Sprintf("run %q", id))
		return
	}
	var lost []string
	if err == nil {
		diagnostic.AddRedisWarnings(&resp.Diagnostics, warnings)
		lost, err = r.runner.describeLostOutputs(ctx, redis, &model)
	}
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to read outputs", fmt.Sprintf("Looking up the outputs of run %q in Redis", id), err)
		return
	}
	model.Drift = attribute.DriftValue(lost)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *workflowRunResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model, state, config workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "update", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.State, &state, &resp.Diagnostics)
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	env := environment{r.runner.clients.PackageVersion(), config.secretEnv(&resp.Diagnostics)} // the report hides the secret environment
	if resp.Diagnostics.HasError() {
		return
	}
	if state.resumesInPlace(model) {
		if r.runner.executeRun(ctx, &model, env, &resp.Diagnostics) {
			resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
		}
		return
	}
	if state.isDelegated() {
		if r.runner.updateDetachedRun(ctx, &model, env, &resp.Diagnostics) {
			resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
		}
		return
	}
	// The run is not replaced. Unless other outputs or a report are configured, only settings of later operations have changed.
	needsOutputs, needsPage := attribute.HasUnknown(model.OutputsDigest), attribute.HasUnknown(model.ReportWrittenAt)
	var graph workflow.Graph
	if needsOutputs || needsPage {
		graph = model.graph(ctx, env, &resp.Diagnostics)
	}
	if needsOutputs && !r.runner.rereadOutputs(ctx, &model, graph, &resp.Diagnostics) {
		return
	}
	if needsPage {
		r.runner.rewritePage(ctx, &model, graph, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
