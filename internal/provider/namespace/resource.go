// Package namespace implements the resource, the data source and the list resource brane_namespace.
package namespace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var (
	_ resource.ResourceWithConfigure      = &namespaceResource{}
	_ resource.ResourceWithIdentity       = &namespaceResource{}
	_ resource.ResourceWithImportState    = &namespaceResource{}
	_ resource.ResourceWithModifyPlan     = &namespaceResource{}
	_ resource.ResourceWithValidateConfig = &namespaceResource{}
)

// defaultAccount is the default name of the service account.
const defaultAccount = namespace.ObjectName

// namespaceTimeout is the default limit of each operation. The namespace controller needs about 5 s to empty a small namespace, and much longer if pods
// terminate slowly.
const namespaceTimeout = 10 * time.Minute

// NewResource returns the resource `brane_namespace`.
func NewResource() resource.Resource { return &namespaceResource{} }

type namespaceResource struct{ clients *clients.Clients }

func (r *namespaceResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_namespace"
}

func (r *namespaceResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (r *namespaceResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model, config namespaceModel
	ctx, done := attribute.StartOperation(ctx, "create", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	spec, diags := model.specWith(ctx, config)
	resp.Diagnostics.Append(diags...)
	client, err := r.clients.ConnectKubernetes(ctx, model.Cluster)
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to connect to the cluster", fmt.Sprintf("Connecting to create namespace %q", spec.Name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	state, err := namespace.Create(ctx, client, spec, model.Adopt.ValueBool())
	switch {
	case errors.Is(err, namespace.ErrExists):
		id := spec.Name
		if cluster := model.Cluster.ValueString(); cluster != "" {
			id = cluster + "/" + id
		}
		resp.Diagnostics.AddAttributeError(path.Root("name"), "Namespace already exists", fmt.Sprintf(
			"Creating namespace %q in the cluster at %s: it exists, and this resource did not create it. To manage it here, set adopt = true, or import it:\n\n"+
				"import {\n  to = brane_namespace.<NAME>\n  id = %q\n}", spec.Name, client.Host(), id))
		return
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to create Namespace", fmt.Sprintf("Creating namespace %q in the cluster at %s", spec.Name, client.Host()), err)
		if state.UID == "" {
			return // nothing was created
		}
		// The CLI replaces an incomplete resource. Neither setting may prevent that: the namespace is new and empty.
		model.DeletionProtection, model.DeletionPolicy = types.BoolValue(false), types.StringValue(policyDelete)
	}
	model.recordApplied(state)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *namespaceResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model namespaceModel
	ctx, done := attribute.StartOperation(ctx, "read", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	name := model.Name.ValueString()
	client, err := r.clients.Kubernetes(model.Cluster)
	if errors.Is(err, clients.ErrNotKnown) {
		diagnostic.AddNotRefreshed(&resp.Diagnostics, fmt.Sprintf("namespace %q", name))
		return
	}
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to connect to the cluster", fmt.Sprintf("Connecting to read namespace %q", name), err)
		return
	}
	imported := model.ServiceAccount == nil // only the name is known
	if imported {
		spec, err := namespace.Discover(ctx, client, name, defaultAccount)
		if err != nil && !errors.Is(err, namespace.ErrGone) {
			diagnostic.AddError(&resp.Diagnostics, "Failed to import Namespace", fmt.Sprintf("Reading namespace %q in the cluster at %s", name, client.Host()), err)
			return
		}
		resp.Diagnostics.Append(model.found(ctx, spec)...)
	}
	spec, diags := model.toSpec(ctx)
	resp.Diagnostics.Append(diags...)
	reader, err := r.clients.NamespaceReader(model.Cluster)
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to connect to the cluster", fmt.Sprintf("Connecting to read namespace %q", name), err)
		return
	}
	state, err := namespace.Read(ctx, reader, spec)
	switch {
	case errors.Is(err, namespace.ErrGone):
		warnTerminating(&resp.Diagnostics, name, err)
		warnReplaced(&resp.Diagnostics, name, err)
		resp.State.RemoveResource(ctx)
		return
	case kube.IsUnreachable(err) && !imported && !model.Cluster.IsNull():
		diagnostic.AddUnreachable(&resp.Diagnostics, model.Cluster, client.Host(), fmt.Sprintf("namespace %q", name), err)
		return
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to read Namespace", fmt.Sprintf("Reading namespace %q in the cluster at %s", name, client.Host()), err)
		return
	}
	before := model
	resp.Diagnostics.Append(model.refresh(ctx, state)...)
	if imported || model.isChangedByRefresh(before) {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

func (r *namespaceResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model, before, config namespaceModel
	ctx, done := attribute.StartOperation(ctx, "update", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.State, &before, &resp.Diagnostics)
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	spec, diags := model.specWith(ctx, config)
	resp.Diagnostics.Append(diags...)
	old, diags := before.toSpec(ctx)
	resp.Diagnostics.Append(diags...)
	client, err := r.clients.ConnectKubernetes(ctx, model.Cluster)
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to connect to the cluster", fmt.Sprintf("Connecting to update namespace %q", spec.Name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	state, err := namespace.Apply(ctx, client, old, spec)
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to update Namespace", fmt.Sprintf("Updating namespace %q in the cluster at %s", spec.Name, client.Host()), err)
		return
	}
	model.recordApplied(state)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *namespaceResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model namespaceModel
	ctx, done := attribute.StartOperation(ctx, "delete", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	spec, diags := model.toSpec(ctx)
	resp.Diagnostics.Append(diags...)
	model.refuseProtected(&resp.Diagnostics)
	client, err := r.clients.Kubernetes(model.Cluster)
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to connect to the cluster", fmt.Sprintf("Connecting to delete namespace %q", spec.Name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if model.DeletionPolicy.ValueString() == policyRetain {
		if err := namespace.Retain(ctx, client, spec); err != nil {
			diagnostic.AddError(&resp.Diagnostics, "Failed to release Namespace", fmt.Sprintf("Removing the managed objects, labels and annotations from namespace %q in the cluster at %s", spec.Name, client.Host()), err)
		}
		return
	}
	if err := namespace.Delete(ctx, client, spec.Name, model.UID.ValueString()); err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to delete Namespace", fmt.Sprintf("Deleting namespace %q in the cluster at %s", spec.Name, client.Host()), err)
	}
}

// warnTerminating warns that the next apply has to wait for a namespace that is being deleted.
func warnTerminating(diags *diag.Diagnostics, name string, err error) {
	var terminating *namespace.TerminatingError
	if !errors.As(err, &terminating) {
		return
	}
	detail := fmt.Sprintf("Namespace %q still exists, but is being deleted. An apply that creates it again waits until it is gone, at most as long as timeouts.create.", name)
	if len(terminating.Conditions) > 0 {
		detail += " Kubernetes reports:\n" + diagnostic.BulletList(terminating.Conditions)
	}
	diags.AddWarning("Namespace is being deleted", detail)
}

// warnReplaced warns that the namespace of this name is one of others, which the resource does not manage.
func warnReplaced(diags *diag.Diagnostics, name string, err error) {
	var replaced *namespace.ReplacedError
	if errors.As(err, &replaced) {
		diags.AddAttributeWarning(path.Root("uid"), "Namespace was replaced", diagnostic.ErrorDetail(fmt.Sprintf("Reading namespace %q", name), err))
	}
}

// ImportState imports by "name", by "cluster/name" or by identity.
func (r *namespaceResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	attribute.ImportByName(ctx, req, resp)
}

// specWith returns the wanted namespace with the passwords of the configuration, which the plan does not contain.
func (m *namespaceModel) specWith(ctx context.Context, config namespaceModel) (namespace.Spec, diag.Diagnostics) {
	m.settleAccess()
	spec, diags := m.toSpec(ctx)
	m.metadata().refuseReserved(&diags)
	m.metadata().checkSizes(&diags)
	for host, r := range spec.RegistryCredentials {
		r.Password = config.RegistryCredentials[host].PasswordWO.ValueString()
		spec.RegistryCredentials[host] = r
	}
	return spec, diags
}
