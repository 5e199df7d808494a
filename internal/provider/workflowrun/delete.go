package workflowrun

import (
	"context"
	"errors"
	"fmt"

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

// Delete stops the run and deletes its objects in the cluster, its Redis user and its Redis keys.
func (r *workflowRunResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model workflowRunModel
	ctx, done := attribute.StartOperation(ctx, "delete", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	id, namespace := model.ID.ValueString(), model.Namespace.ValueString()
	next, diags := req.Private.GetKey(ctx, successorKey)
	resp.Diagnostics.Append(diags...)
	like, continues := model.compareSuccessor(next)
	switch {
	case continues && like == same: // Create continues it
	case continues && like == possible:
		// If Create does not continue it, its record and its keys stay until its retention has passed.
		err := r.runner.stopRun(ctx, &model)
		if err == nil {
			err = r.runner.limitKeys(ctx, model, &resp.Diagnostics)
		}
		if err != nil && !errors.Is(err, workflow.ErrSuperseded) {
			diagnostic.AddError(&resp.Diagnostics, "Failed to stop run", fmt.Sprintf("Stopping run %q in namespace %q, which is replaced", id, namespace), err)
		}
	default:
		r.runner.deleteRun(ctx, &model, &resp.Diagnostics)
	}
}

// deleteRun deletes the objects of the run in the cluster, its Redis user and its Redis keys, unless the run belongs to another resource: with
// create_before_destroy, Create has taken it over already.
func (r *runner) deleteRun(ctx context.Context, model *workflowRunModel, diags *diag.Diagnostics) {
	id := model.ID.ValueString()
	err := r.deleteObjects(ctx, model)
	if errors.Is(err, workflow.ErrSuperseded) {
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

// limitKeys lets the keys of a run expire that have no deadline, such as those of its outputs and of its configuration.
func (r *runner) limitKeys(ctx context.Context, model workflowRunModel, diags *diag.Diagnostics) error {
	redis, _, err := r.clients.RedisClient(ctx)
	if err != nil {
		return err
	}
	return results.Limit(ctx, redis, model.ID.ValueString(), attribute.DurationOrZero(model.Retention, diags))
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
