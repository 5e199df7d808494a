package infrastructure

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
)

// tokenSize is the size of a short token of a service account.
const tokenSize = 800

// checkRoom reports a Secret of the control plane that has no room for the location, with all others that are planned. What else fails here
// is reported by the operation itself.
func (r *infrastructureResource) checkRoom(ctx context.Context, model infrastructureModel, wanted credentialsModel, diags *diag.Diagnostics) {
	store, err := r.clients.ConfigStore()
	if err != nil || model.Name.IsUnknown() {
		return
	}
	kubeconfig, err := r.estimateKubeconfig(model, wanted)
	if err != nil {
		return
	}
	var full *infra.FullError
	if errors.As(infra.CheckRoom(ctx, store, model.toLocation(), kubeconfig), &full) {
		diags.AddAttributeError(path.Root("name"), "No room in the Secret of the control plane", fmt.Sprintf(
			"Registering location %q in the %s, with all other locations that are planned: %v.", model.Name.ValueString(), store, full))
	}
}

// estimateKubeconfig returns the kubeconfig to register, or one of about the same size if its token has yet to be requested. It is empty if
// nothing is known of it.
func (r *infrastructureResource) estimateKubeconfig(model infrastructureModel, wanted credentialsModel) ([]byte, error) {
	given := wanted.KubeconfigWO
	if given.IsUnknown() {
		return nil, nil
	}
	if !given.IsNull() {
		parsed, err := credentials.Parse([]byte(given.ValueString()))
		if err != nil {
			return nil, err
		}
		return credentials.Render(*parsed)
	}
	client, err := r.clients.Kubernetes(model.Cluster)
	if err != nil {
		return nil, err
	}
	ca, err := client.CA()
	if err != nil {
		return nil, err
	}
	return credentials.Render(credentials.Kubeconfig{
		Server: serverURL(model.Address.ValueString(), client.Host()), CA: ca, Token: strings.Repeat("x", tokenSize),
		Namespace: model.Namespace.ValueString(), Name: model.Name.ValueString(),
	})
}
