package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// successorKey is the private data in which a plan passes Delete the id of the run that replaces the deleted one. A run that failed or was
// interrupted is tainted, so Terraform deletes it and creates it again: with the same id, the run is resumed from its commits. Terraform does not pass this to
// Delete in any other way.
const successorKey = "successor"

// unknownSuccessor is the value if the id of the run that replaces the deleted one is not known during the plan. It may be the same.
const unknownSuccessor = "null"

// Delete stops the run and deletes its objects in the cluster, its Redis user and its Redis keys.
func (r *workflowRunResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "delete", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	id, namespace := model.ID.ValueString(), model.Namespace.ValueString()
	successor, diags := req.Private.GetKey(ctx, successorKey)
	resp.Diagnostics.Append(diags...)
	if string(successor) == strconv.Quote(id) && model.Status.ValueString() != string(workflow.RunSucceeded) {
		return // it is replaced by itself: Create resumes it from its commits
	}
	if string(successor) == unknownSuccessor && model.Status.ValueString() != string(workflow.RunSucceeded) {
		// Create may resume it from its commits. Otherwise its record and its keys stay until its retention has passed.
		if err := r.runner.stopRun(ctx, &model); err != nil && !errors.Is(err, workflow.ErrSuperseded) {
			diagnostic.AddError(&resp.Diagnostics, "Failed to stop run", fmt.Sprintf("Stopping run %q in namespace %q, which is replaced", id, namespace), err)
		}
		return
	}
	if model.isKeptForSuccessor(string(successor)) && replaced.keep(r.runner.clients, model) {
		if err := r.runner.keepForSuccessor(ctx, model, &resp.Diagnostics); err != nil {
			diagnostic.AddError(&resp.Diagnostics, "Failed to keep files of run", fmt.Sprintf("Limiting how long the keys of run %q stay in Redis, until the run that replaces it has succeeded", id), err)
		}
		return
	}
	r.runner.deleteRun(ctx, &model, string(successor), &resp.Diagnostics)
}

// deleteRun deletes the objects of the run in the cluster, its Redis user and its Redis keys.
func (r *runner) deleteRun(ctx context.Context, model *workflowRunModel, successor string, diags *diag.Diagnostics) {
	id := model.ID.ValueString()
	err := r.deleteObjects(ctx, model)
	if errors.Is(err, workflow.ErrSuperseded) {
		// With create_before_destroy, Create has already resumed it.
		if successor == strconv.Quote(id) {
			diags.AddWarning("No step was run again", fmt.Sprintf("Run %q had succeeded and was to be replaced by itself. Because of lifecycle.create_before_destroy, "+
				"which other resources that need this one may cause as well, the new run found the files of the old one and ran no step. To run all steps again, change a value in triggers.", id))
		}
		return
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to delete run", fmt.Sprintf("Deleting the objects of run %q in namespace %q", id, model.Namespace.ValueString()), err)
		return // the keys are not deleted: a pod may still write
	}
	redis, warnings, err := r.clients.RedisClient(ctx)
	diagnostic.AddRedisWarnings(diags, warnings)
	if err == nil {
		var store *files.Store
		if store, err = results.OpenFiles(redis, id); err == nil {
			err = errors.Join(store.RevokeUser(ctx), store.Delete(ctx))
		}
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to delete files of run", fmt.Sprintf("Deleting the keys of run %q in Redis", id), err)
	}
}

// deleteObjects removes the run from the cluster.
func (r *runner) deleteObjects(ctx context.Context, model *workflowRunModel) error {
	return r.inCluster(ctx, model, func(client *kube.Client) error {
		return engine.Delete(ctx, client, workflow.Ref{ID: model.ID.ValueString(), Namespace: model.Namespace.ValueString()}, model.ExecutionID.ValueString())
	})
}

// stopRun stops the run in the cluster, so that it can be resumed.
func (r *runner) stopRun(ctx context.Context, model *workflowRunModel) error {
	return r.inCluster(ctx, model, func(client *kube.Client) error {
		return engine.Stop(ctx, client, workflow.Ref{ID: model.ID.ValueString(), Namespace: model.Namespace.ValueString()}, model.ExecutionID.ValueString())
	})
}
