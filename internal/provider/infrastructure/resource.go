// Package infrastructure implements the resource, the data sources and the list resource brane_infrastructure, and the action brane_rotate_credential.
package infrastructure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var (
	_ resource.ResourceWithConfigure      = &infrastructureResource{}
	_ resource.ResourceWithIdentity       = &infrastructureResource{}
	_ resource.ResourceWithImportState    = &infrastructureResource{}
	_ resource.ResourceWithModifyPlan     = &infrastructureResource{}
	_ resource.ResourceWithValidateConfig = &infrastructureResource{}
)

// infrastructureTimeout is the default limit of each operation, which requests a token, verifies it and writes two files.
const infrastructureTimeout = 2 * time.Minute

// NewResource returns the resource `brane_infrastructure`.
func NewResource() resource.Resource { return &infrastructureResource{} }

// infrastructureResource has its schema in infrastructure_schema.go, its plan in infrastructure_plan.go and the handling of credentials in
// infrastructure_credential.go.
type infrastructureResource struct{ clients *clients.Clients }

func (r *infrastructureResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_infrastructure"
}

func (r *infrastructureResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (r *infrastructureResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model, config infrastructureModel
	ctx, done := attribute.StartOperation(ctx, "create", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	name := model.Name.ValueString()
	store, err := r.clients.ConfigStore()
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Control plane not available", fmt.Sprintf("Opening the configuration files of the Brane instance to register location %q", name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	// Checks for an existing location before a token is requested. Unlike Read, Update waits for a server that is unavailable for a moment; it changes nothing here.
	err = store.Update(ctx, func(f *infra.Files) error {
		if _, taken := f.Infra.Location(name); taken {
			return infra.ErrExists
		}
		return nil
	})
	if err != nil {
		notRegistered(&resp.Diagnostics, name, store, err)
		return
	}
	wanted := config.credentials(ctx, &resp.Diagnostics)
	if r.checkRoom(ctx, model, wanted, &resp.Diagnostics); resp.Diagnostics.HasError() {
		return // before a token is requested
	}
	credential := r.newCredential(ctx, &model, wanted, &resp.Diagnostics)
	if !r.isUsable(ctx, &model, credential, &resp.Diagnostics) {
		r.discardCredential(ctx, model.Cluster, credential, &resp.Diagnostics)
		return
	}
	if err := infra.Create(ctx, store, model.toLocation(), credential.raw); err != nil {
		r.discardCredential(ctx, model.Cluster, credential, &resp.Diagnostics)
		notRegistered(&resp.Diagnostics, name, store, err)
		return
	}
	model.setCredential(credential.raw, credential.parsed)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, registeredKey, encodeRegistered(credential.parsed))...)
	writeTokenNamespace(ctx, resp.Private, model, credential.parsed, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *infrastructureResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model infrastructureModel
	ctx, done := attribute.StartOperation(ctx, "read", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	name := model.Name.ValueString()
	store, err := r.clients.ConfigStore()
	if errors.Is(err, clients.ErrNotKnown) {
		diagnostic.AddNotRefreshed(&resp.Diagnostics, fmt.Sprintf("infrastructure %q", name))
		return
	}
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Control plane not available", fmt.Sprintf("Opening the configuration files of the Brane instance to read location %q", name), err)
		return
	}
	imported := model.Namespace.IsNull()
	registration, err := infra.Lookup(ctx, store, name)
	if imported && errors.Is(err, infra.ErrNoLocation) {
		resp.State.RemoveResource(ctx)
		return
	}
	found, err := missing(store, registration, name, err)
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to read location", fmt.Sprintf("Reading location %q from the %s", name, store), err)
		return
	}
	live := registration.Location
	if imported {
		model.refresh(live)
		model.SecretName = attribute.StringOrNull(live.SecretName)
	} else if live.Name != "" {
		for _, change := range live.Diff(model.toLocation()) {
			found = append(found, change.String()+" in infra.yml")
		}
	}
	kubeconfig := registration.Kubeconfig
	if live.SecretName != model.SecretName.ValueString() {
		// The credentials of the resource may be intact, although the location does not refer to them.
		if kubeconfig, err = infra.LookupKubeconfig(ctx, store, name, model.SecretName.ValueString()); err != nil {
			kubeconfig = nil // they are registered again with the location
		}
	}
	var parsed *credentials.Kubeconfig
	var faults []string
	if kubeconfig != nil {
		parsed, faults = r.inspectCredential(ctx, &model, kubeconfig, imported, &resp.Diagnostics)
	}
	if parsed != nil && live.Name != "" {
		for _, problem := range parsed.Check(live.Address, live.Namespace) {
			found = append(found, problem.Sentence)
		}
	}
	if live.Name != "" {
		model.refresh(live)
	}
	writeTokenNamespace(ctx, resp.Private, model, parsed, &resp.Diagnostics)
	if faults != nil {
		parsed = nil
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, registeredKey, encodeRegistered(parsed))...)
	found = append(found, faults...)
	model.Drift = attribute.DriftValue(found)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *infrastructureResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model, state, config infrastructureModel
	ctx, done := attribute.StartOperation(ctx, "update", req.Plan, &model, &resp.Diagnostics)
	defer done()
	attribute.Decode(ctx, req.State, &state, &resp.Diagnostics)
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	name := model.Name.ValueString()
	store, err := r.clients.ConfigStore()
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Control plane not available", fmt.Sprintf("Opening the configuration files of the Brane instance to update location %q", name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	old := readTokenNamespace(ctx, req.Private, state, &resp.Diagnostics)
	var credential credential
	keep := !model.Fingerprint.IsUnknown()
	if keep {
		credential = registeredCredential(ctx, store, model, state, &resp.Diagnostics)
	} else {
		credential = r.newCredential(ctx, &model, config.credentials(ctx, &resp.Diagnostics), &resp.Diagnostics)
	}
	if !r.isUsable(ctx, &model, credential, &resp.Diagnostics) {
		r.discardCredential(ctx, model.Cluster, credential, &resp.Diagnostics)
		return
	}
	if keep {
		err = infra.RegisterAgain(ctx, store, model.toLocation(), state.SecretName.ValueString(), credential.raw)
	} else {
		err = infra.Register(ctx, store, model.toLocation(), credential.raw)
	}
	if err != nil {
		r.discardCredential(ctx, model.Cluster, credential, &resp.Diagnostics)
		diagnostic.AddError(&resp.Diagnostics, "Failed to update location", fmt.Sprintf("Updating location %q in the %s", name, store), err)
		return
	}
	model.setCredential(credential.raw, credential.parsed)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, registeredKey, encodeRegistered(credential.parsed))...)
	writeTokenNamespace(ctx, resp.Private, model, credential.parsed, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	if !model.SecretName.Equal(state.SecretName) {
		if err := infra.RemoveUnusedSecret(ctx, store, state.SecretName.ValueString()); err != nil {
			diagnostic.AddError(&resp.Diagnostics, "Failed to remove the old secret", fmt.Sprintf("Removing secret %q from secrets.yml in the %s, the previous secret_name of location %q; remove it manually if this error persists", state.SecretName.ValueString(), store, name), err)
		}
	}
	if !model.TokenSecret.Equal(state.TokenSecret) {
		r.revokeCredential(ctx, state, old, &resp.Diagnostics)
	}
}

func (r *infrastructureResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model infrastructureModel
	ctx, done := attribute.StartOperation(ctx, "delete", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	name := model.Name.ValueString()
	store, err := r.clients.ConfigStore()
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Control plane not available", fmt.Sprintf("Opening the configuration files of the Brane instance to remove location %q", name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if err := infra.Unregister(ctx, store, name, model.SecretName.ValueString()); err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to remove location", fmt.Sprintf("Removing location %q from the %s", name, store), err)
		return
	}
	r.revokeCredential(ctx, model, readTokenNamespace(ctx, req.Private, model, &resp.Diagnostics), &resp.Diagnostics)
}

// ImportState imports by "name", by "cluster/name" or by identity.
func (r *infrastructureResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	attribute.ImportByName(ctx, req, resp)
}

func notRegistered(diags *diag.Diagnostics, name string, store infra.Store, err error) {
	if !errors.Is(err, infra.ErrExists) {
		diagnostic.AddError(diags, "Failed to register location", fmt.Sprintf("Registering location %q in the %s", name, store), err)
		return
	}
	diags.AddAttributeError(path.Root("name"), "Location already exists", fmt.Sprintf(
		"Registering location %[1]q in the %[2]s: it exists, and this resource did not create it. To manage it here, import it:\n\n"+
			"import {\n  to = brane_infrastructure.<NAME>\n  id = %[1]q\n}", name, store))
}

// missing returns a message for the part of a registration that does not exist or that Brane cannot read. It returns all other errors.
func missing(store infra.Store, registration infra.Registration, name string, err error) ([]string, error) {
	var encoding *infra.EncodingError
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, infra.ErrNoFile):
		return []string{fmt.Sprintf("infra.yml is missing from the %s, and with it location %q", store, name)}, nil
	case errors.Is(err, infra.ErrNoLocation):
		return []string{fmt.Sprintf("location %q is missing from infra.yml in the %s", name, store)}, nil
	case errors.Is(err, infra.ErrNoSecret):
		return []string{fmt.Sprintf("secret %q is missing from secrets.yml in the %s", registration.Location.SecretName, store)}, nil
	case errors.As(err, &encoding):
		return []string{"Brane cannot use the registered credentials: " + encoding.Reason}, nil
	default:
		return nil, err
	}
}

// revokeCredential deletes the long-lived token of a state, which is in this namespace.
func (r *infrastructureResource) revokeCredential(ctx context.Context, state infrastructureModel, namespace string, diags *diag.Diagnostics) {
	if state.TokenSecret.IsNull() {
		return
	}
	client, err := r.clients.Kubernetes(state.Cluster)
	if err == nil {
		err = credentials.Revoke(ctx, client, namespace, state.TokenSecret.ValueString())
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to revoke the old token", fmt.Sprintf("Deleting Secret %q in namespace %q to revoke the token that was registered for location %q; delete it manually if this error persists",
			state.TokenSecret.ValueString(), namespace, state.Name.ValueString()), err)
	}
}
