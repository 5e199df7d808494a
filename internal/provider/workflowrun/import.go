package workflowrun

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

var (
	_ resource.ResourceWithIdentity    = &workflowRunResource{}
	_ resource.ResourceWithImportState = &workflowRunResource{}
)

// identityModel identifies a run by its name and its place: an infrastructure, or a namespace and its cluster.
type identityModel struct {
	Name           types.String `tfsdk:"name"`
	Infrastructure types.String `tfsdk:"infrastructure"`
	Namespace      types.String `tfsdk:"namespace"`
	Cluster        types.String `tfsdk:"cluster"`
}

func (r *workflowRunResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name":           identityschema.StringAttribute{Description: "Name of the run.", RequiredForImport: true},
		"infrastructure": identityschema.StringAttribute{Description: "Name of the infrastructure that the run is on. Exactly one of infrastructure and namespace is set.", OptionalForImport: true},
		"namespace":      identityschema.StringAttribute{Description: "Namespace of the run, if it has no infrastructure.", OptionalForImport: true},
		"cluster":        identityschema.StringAttribute{Description: "Name of the cluster of the namespace, if it is a key of `clusters` in the provider block.", OptionalForImport: true},
	}}
}

// identity returns the values that identify the run. Those of an infrastructure determine its namespace and its cluster.
func (m workflowRunModel) identity() identityModel {
	if m.hasInfrastructure() {
		return identityModel{Name: m.Name, Infrastructure: m.Infrastructure}
	}
	return identityModel{Name: m.Name, Namespace: m.Namespace, Cluster: m.Cluster}
}

// ImportState imports by the id, by "namespace/id", by "cluster/namespace/id" or by identity.
func (r *workflowRunResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id, at, ok := r.parseImport(ctx, req, &resp.Diagnostics)
	if !ok {
		return
	}
	tried := fmt.Sprintf("Importing run %q %s", id, at)
	model, err := r.runner.findRun(ctx, id, at, &resp.Diagnostics)
	if err != nil {
		reportNotRead(&resp.Diagnostics, tried, err)
	}
	if resp.Diagnostics.HasError() || !r.runner.keepOutputs(ctx, &model, &resp.Diagnostics) {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

// parseImport returns the run that is to be imported, and where it is looked for.
func (r *workflowRunResource) parseImport(ctx context.Context, req resource.ImportStateRequest, diags *diag.Diagnostics) (id string, at place, ok bool) {
	if req.ID == "" {
		return r.findIdentity(ctx, req, diags)
	}
	parts := strings.Split(req.ID, "/")
	for _, part := range parts {
		if part == "" || len(parts) > 3 {
			diags.AddError("Invalid import ID", fmt.Sprintf("The import ID %q is neither the id of a run, nor namespace/id, nor cluster/namespace/id, with a key of clusters in the provider block.", req.ID))
			return "", at, false
		}
	}
	if len(parts) > 1 {
		at.Namespace = types.StringValue(parts[len(parts)-2])
	}
	if len(parts) > 2 {
		at.Cluster = types.StringValue(parts[0])
	}
	return parts[len(parts)-1], at, true
}

// findIdentity returns the run with an identity.
func (r *workflowRunResource) findIdentity(ctx context.Context, req resource.ImportStateRequest, diags *diag.Diagnostics) (id string, at place, ok bool) {
	var of identityModel
	diags.Append(req.Identity.Get(ctx, &of)...)
	if diags.HasError() {
		return "", at, false
	}
	if of.Infrastructure.IsNull() == of.Namespace.IsNull() {
		diags.AddError("Invalid import identity", fmt.Sprintf("The identity of run %q must have exactly one of infrastructure and namespace.", of.Name.ValueString()))
		return "", at, false
	}
	at = place{of.Infrastructure, of.Namespace, of.Cluster}
	tried := fmt.Sprintf("Importing run %q %s", of.Name.ValueString(), at)
	id, err := r.runner.findID(ctx, of.Name.ValueString(), &at)
	if err != nil {
		reportNotRead(diags, tried, err)
	}
	return id, at, err == nil
}

// keepOutputs keeps the outputs of a run that has succeeded if the apply was killed before it kept them. It returns whether the outputs are known.
func (r *runner) keepOutputs(ctx context.Context, model *workflowRunModel, diags *diag.Diagnostics) bool {
	if model.Status.ValueString() != string(workflow.RunSucceeded) || !model.OutputsDigest.IsNull() {
		return true
	}
	ctx, done := attribute.WithLimit(ctx, findLimit)
	defer done()
	return r.rereadOutputs(ctx, model, model.storedGraph(ctx, environment{packageVersion: r.clients.PackageVersion()}, diags), diags)
}
