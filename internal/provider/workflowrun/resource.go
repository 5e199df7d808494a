// Package workflowrun implements the resource, the data source and the list resource brane_workflow_run, and the action brane_run_workflow.
package workflowrun

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
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

func (r *workflowRunResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model, config workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "create", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	env := environment{packageVersion: r.runner.clients.PackageVersion(), secretEnv: config.secretEnv(&resp.Diagnostics)}
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, successorKey, []byte(noSuccessor))...)
	if r.runner.executeRun(ctx, &model, env, creating, &resp.Diagnostics) {
		r.runner.storeRun(ctx, model, &resp.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

func (r *workflowRunResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "read", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	if !model.waitsForEnd() && model.Status.ValueString() != string(workflow.RunSucceeded) {
		if !r.runner.refreshRun(ctx, &model, environment{packageVersion: r.runner.clients.PackageVersion()}, &resp.Diagnostics) {
			return
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
		if model.isDelegated() || !model.hasStored(ctx, &resp.Diagnostics) {
			return // the engine finds out what is gone
		}
	} else if model.OutputsDigest.IsNull() && !model.hasStored(ctx, &resp.Diagnostics) {
		return // nothing could be lost
	}
	rerun := readNames(ctx, req.Private, rerunKey, &resp.Diagnostics)
	gone, ok := r.runner.refreshStored(ctx, &model, rerun, &resp.Diagnostics)
	if !ok {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	writeNames(ctx, resp.Private, goneKey, gone, &resp.Diagnostics)
	writeNames(ctx, resp.Private, rerunKey, nil, &resp.Diagnostics)
}

func (r *workflowRunResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model, state, config workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "update", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.State, &state, &resp.Diagnostics)
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	env := environment{packageVersion: r.runner.clients.PackageVersion(), secretEnv: config.secretEnv(&resp.Diagnostics)} // the report hides the secret environment
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	planned := model.Results
	var ok bool
	switch {
	case state.isDelegated() && model.hasSameWorkflow(state):
		model.ExecutionID = state.ExecutionID // also if apply waits for the end
		ok = r.runner.updateDetachedRun(ctx, &model, env, &resp.Diagnostics)
	case model.Status.IsUnknown():
		model.ExecutionID = state.ExecutionID // until the run has the next one
		ok = r.runner.prepareAgain(ctx, &state, model, &resp.Diagnostics) && r.runner.executeRun(ctx, &model, env, updating, &resp.Diagnostics)
		if ok {
			writeNames(ctx, resp.Private, goneKey, nil, &resp.Diagnostics)
		}
	default:
		ok = r.runner.updateSettings(ctx, &model, env, &resp.Diagnostics)
	}
	if !ok {
		return
	}
	r.runner.storeRun(ctx, model, &resp.Diagnostics)
	r.runner.releaseOutputs(ctx, state, model, &resp.Diagnostics)
	writeNames(ctx, resp.Private, rerunKey, model.restoreResults(planned, &resp.Diagnostics), &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

// updateSettings updates a run that is not executed: unless other outputs or a report are configured, only settings of later operations have changed. It returns
// whether there is anything to store in the state.
func (r *runner) updateSettings(ctx context.Context, model *workflowRunModel, env environment, diags *diag.Diagnostics) bool {
	needsOutputs, needsPage := attribute.HasUnknown(model.OutputsDigest), attribute.HasUnknown(model.ReportWrittenAt)
	var graph workflow.Graph
	if needsOutputs || needsPage {
		graph = model.storedGraph(ctx, env, diags)
	}
	if needsOutputs && !r.rereadOutputs(ctx, model, graph, diags) {
		return false
	}
	if needsPage {
		r.rewritePage(ctx, model, graph, diags)
	}
	return true
}
