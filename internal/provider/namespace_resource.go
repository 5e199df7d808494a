package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
)

var (
	_ resource.ResourceWithConfigure   = &namespaceResource{}
	_ resource.ResourceWithImportState = &namespaceResource{}
	_ resource.ResourceWithModifyPlan  = &namespaceResource{}
)

// defaultAccount is the service account's name where none is given.
const defaultAccount = "brane"

// namespaceTimeout bounds each operation where `timeouts` does not: the namespace controller takes about 5 s to empty a small namespace, and much longer
// where pods take their time to end.
const namespaceTimeout = 10 * time.Minute

func newNamespaceResource() resource.Resource {
	return &namespaceResource{resourceBase{name: "namespace"}}
}

type namespaceResource struct{ resourceBase }

func (r *namespaceResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The namespace in which Brane runs: a Namespace, a service account, and a Role and RoleBinding that let the account do there what Brane needs and nothing more. " +
			"Labels and annotations that others add are left alone. A child object that was deleted or edited shows in `drift` and is repaired in place.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the Namespace. Changing it makes a new namespace and deletes the old one with everything in it.",
				Required:            true,
				Validators:          []validator.String{dnsLabel()},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"cluster": clusterAttribute(),
			"labels": schema.MapAttribute{
				MarkdownDescription: "Labels of the Namespace, beside those that others set.",
				ElementType:         types.StringType,
				Optional:            true,
			},
			"annotations": schema.MapAttribute{
				MarkdownDescription: "Annotations of the Namespace, beside those that others set.",
				ElementType:         types.StringType,
				Optional:            true,
			},
			"access": schema.StringAttribute{
				MarkdownDescription: "What the service account may do in the namespace: `submit` (create Jobs, all that Brane 0.4 to 0.6 asks) or `run` " +
					"(what `brane_workflow_run` needs as well: follow and delete Jobs, read Pods, logs and events, keep the run's own ConfigMap and Secret). Default: `run`.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(string(namespace.AccessRun)),
				Validators: []validator.String{stringvalidator.OneOf(namespace.Accesses()...)},
			},
			"service_account": schema.SingleNestedAttribute{
				MarkdownDescription: "The service account to which the rights are given.",
				Optional:            true,
				Computed:            true,
				Default: objectdefault.StaticValue(types.ObjectValueMust(serviceAccountTypes,
					map[string]attr.Value{"name": types.StringValue(defaultAccount)})),
				Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{
						MarkdownDescription: "Its name, which the Role and the RoleBinding bear too. Default: `" + defaultAccount + "`.",
						Optional:            true,
						Computed:            true,
						Default:             stringdefault.StaticString(defaultAccount),
						Validators:          []validator.String{dnsLabel()},
					},
				},
			},
			"uid": schema.StringAttribute{
				MarkdownDescription: "UID that the cluster gave the Namespace.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"drift":    driftAttribute(),
			"timeouts": timeoutsAttribute(ctx, namespaceTimeout),
		},
	}
}

func (r *namespaceResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	r.planCluster(ctx, req, resp)
}

func (r *namespaceResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model namespaceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	limit, diags := model.Timeouts.Create(ctx, namespaceTimeout)
	resp.Diagnostics.Append(diags...)
	spec, diags := model.spec(ctx)
	resp.Diagnostics.Append(diags...)
	client, err := r.kube(model.Cluster)
	if err != nil {
		report(&resp.Diagnostics, "No connection to the cluster", fmt.Sprintf("Connecting to make namespace %q", spec.Name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, limit, "create")
	defer done()

	err = namespace.Create(ctx, client, spec)
	switch {
	case errors.Is(err, namespace.ErrExists):
		resp.Diagnostics.AddAttributeError(path.Root("name"), "Namespace exists already", fmt.Sprintf(
			"There is a namespace %[1]q in the cluster at %[2]s, and Terraform did not make it. To manage it from here, import it:\n\n"+
				"import {\n  to = brane_namespace.<NAME>\n  id = %[1]q\n}", spec.Name, client.Host()))
		return
	case err != nil:
		report(&resp.Diagnostics, "Namespace not complete", fmt.Sprintf("Making namespace %q in the cluster at %s", spec.Name, client.Host()), err)
	}
	// Also after an error: what is there already must be known to the next apply.
	after, read := afterwards(ctx)
	defer read()
	state, readErr := namespace.Read(after, client, spec)
	if readErr != nil {
		if err == nil {
			report(&resp.Diagnostics, "Namespace not read back", fmt.Sprintf("Reading namespace %q in the cluster at %s", spec.Name, client.Host()), readErr)
		}
		if errors.Is(readErr, namespace.ErrGone) {
			return
		}
	}
	resp.Diagnostics.Append(model.refresh(ctx, state)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *namespaceResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model namespaceModel
	resp.Diagnostics.Append(req.State.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := model.Name.ValueString()
	client, err := r.kube(model.Cluster)
	if errors.Is(err, errNotKnown) {
		notRefreshed(&resp.Diagnostics, fmt.Sprintf("namespace %q", name))
		return
	}
	if err != nil {
		report(&resp.Diagnostics, "No connection to the cluster", fmt.Sprintf("Connecting to read namespace %q", name), err)
		return
	}
	if model.Access.IsNull() { // imported: only the name is known
		spec, err := namespace.Discover(ctx, client, name, defaultAccount)
		if err != nil && !errors.Is(err, namespace.ErrGone) {
			report(&resp.Diagnostics, "Namespace not imported", fmt.Sprintf("Reading namespace %q in the cluster at %s", name, client.Host()), err)
			return
		}
		resp.Diagnostics.Append(model.adopt(ctx, spec)...)
	}
	spec, diags := model.spec(ctx)
	resp.Diagnostics.Append(diags...)
	reader, err := r.reader(model.Cluster)
	if err != nil {
		report(&resp.Diagnostics, "No connection to the cluster", fmt.Sprintf("Connecting to read namespace %q", name), err)
		return
	}
	state, err := namespace.Read(ctx, reader, spec)
	switch {
	case errors.Is(err, namespace.ErrGone):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		report(&resp.Diagnostics, "Namespace not read", fmt.Sprintf("Reading namespace %q in the cluster at %s", name, client.Host()), err)
		return
	}
	resp.Diagnostics.Append(model.refresh(ctx, state)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *namespaceResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model, before namespaceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &before)...)
	limit, diags := model.Timeouts.Update(ctx, namespaceTimeout)
	resp.Diagnostics.Append(diags...)
	spec, diags := model.spec(ctx)
	resp.Diagnostics.Append(diags...)
	old, diags := before.spec(ctx)
	resp.Diagnostics.Append(diags...)
	client, err := r.kube(model.Cluster)
	if err != nil {
		report(&resp.Diagnostics, "No connection to the cluster", fmt.Sprintf("Connecting to change namespace %q", spec.Name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, limit, "update")
	defer done()

	state := namespace.State{}
	err = namespace.Apply(ctx, client, spec)
	if err == nil && old.ServiceAccount != spec.ServiceAccount {
		err = namespace.Retire(ctx, client, old) // no token of the old account may stay good
	}
	if err == nil {
		state, err = namespace.Read(ctx, client, spec)
	}
	if err != nil {
		report(&resp.Diagnostics, "Namespace not changed", fmt.Sprintf("Changing namespace %q in the cluster at %s", spec.Name, client.Host()), err)
		return
	}
	resp.Diagnostics.Append(model.refresh(ctx, state)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *namespaceResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model namespaceModel
	resp.Diagnostics.Append(req.State.Get(ctx, &model)...)
	limit, diags := model.Timeouts.Delete(ctx, namespaceTimeout)
	resp.Diagnostics.Append(diags...)
	name := model.Name.ValueString()
	client, err := r.kube(model.Cluster)
	if err != nil {
		report(&resp.Diagnostics, "No connection to the cluster", fmt.Sprintf("Connecting to delete namespace %q", name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, limit, "delete")
	defer done()

	if err := namespace.Delete(ctx, client, name); err != nil {
		report(&resp.Diagnostics, "Namespace not deleted", fmt.Sprintf("Deleting namespace %q in the cluster at %s", name, client.Host()), err)
	}
}

func (r *namespaceResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	importNamed(ctx, req, resp)
}

// notRefreshed says that a resource was not looked at, because the provider's configuration is not known yet.
func notRefreshed(diags *diag.Diagnostics, what string) {
	diags.AddWarning("Not refreshed", fmt.Sprintf(
		"The provider's configuration depends on something that is not applied yet, so %s was not looked at and is planned as it was last seen.", what))
}
