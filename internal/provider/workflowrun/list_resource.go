package workflowrun

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	runrecord "github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ list.ListResourceWithConfigure = &workflowRunListResource{}

// NewListResource returns the list resource `brane_workflow_run`.
func NewListResource() list.ListResource { return &workflowRunListResource{} }

// workflowRunListResource lists runs for `terraform query`: those that have a record in the cluster and a stored configuration. Those of actions have none.
type workflowRunListResource struct{ runner runner }

func (l *workflowRunListResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_workflow_run"
}

func (l *workflowRunListResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	l.runner.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (l *workflowRunListResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists runs of a cluster or a namespace, to import them as `brane_workflow_run` (`terraform query`, Terraform 1.14). " +
			"Runs of actions, and runs that were applied with another Redis, are not listed. The provider needs permission to list ConfigMaps.",
		Attributes: map[string]schema.Attribute{
			"cluster": schema.StringAttribute{
				MarkdownDescription: attribute.ClusterDescription,
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"namespace": schema.StringAttribute{
				MarkdownDescription: "Namespace of the runs. Defaults to all namespaces.",
				Optional:            true,
				Validators:          []validator.String{attribute.DNSLabel()},
			},
		},
	}
}

func (l *workflowRunListResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	var diags diag.Diagnostics
	var at place
	diags.Append(req.Config.GetAttribute(ctx, path.Root("cluster"), &at.Cluster)...)
	diags.Append(req.Config.GetAttribute(ctx, path.Root("namespace"), &at.Namespace)...)
	client, err := l.runner.clients.Kubernetes(at.Cluster)
	var records []runrecord.Record
	if err == nil {
		records, err = runrecord.List(ctx, client, at.Namespace.ValueString())
	}
	if err != nil {
		where := "all namespaces"
		if !at.Namespace.IsNull() {
			where = fmt.Sprintf("namespace %q", at.Namespace.ValueString())
		}
		diagnostic.AddError(&diags, "Failed to list runs", "Listing the records of runs in "+where, err)
	}
	if diags.HasError() {
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	stream.Results = func(push func(list.ListResult) bool) {
		left := req.Limit
		for _, record := range records {
			result, found := l.result(ctx, req, at.Cluster, record)
			if !found {
				continue
			}
			if !push(result) || left == 1 {
				return
			}
			left--
		}
	}
}

// result returns one run, with its attributes if the request includes the resource; false if it cannot be imported.
func (l *workflowRunListResource) result(ctx context.Context, req list.ListRequest, cluster types.String, record runrecord.Record) (result list.ListResult, found bool) {
	ref := record.Ref()
	result = req.NewListResult(ctx)
	result.DisplayName = fmt.Sprintf("%s (namespace %s, %s)", ref.ID, ref.Namespace, record.Status())
	at := place{Namespace: types.StringValue(ref.Namespace), Cluster: cluster}
	var warnings diag.Diagnostics // about Redis, the same for each run
	model, err := l.runner.readStored(ctx, ref.ID, &warnings)
	if err == nil {
		err = model.moveTo(at)
	}
	var missing *notFoundError
	if errors.As(err, &missing) {
		return result, false
	}
	if err == nil && req.IncludeResource {
		model, err = l.runner.findRun(ctx, ref.ID, at, &warnings)
	}
	if err != nil {
		reportNotRead(&result.Diagnostics, fmt.Sprintf("Reading run %q %s", ref.ID, at), err)
		return result, true
	}
	result.Diagnostics.Append(warnings.Errors()...)
	result.Diagnostics.Append(result.Identity.Set(ctx, model.identity())...)
	if req.IncludeResource {
		if model.hasInfrastructure() {
			model.Namespace = types.StringNull() // Terraform generates a configuration from this, in which only one of both may be set
		}
		result.Diagnostics.Append(result.Resource.Set(ctx, model)...)
	}
	return result, true
}
