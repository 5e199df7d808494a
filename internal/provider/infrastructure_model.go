package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
)

type infrastructureModel struct {
	Name         types.String `tfsdk:"name"`
	Cluster      types.String `tfsdk:"cluster"`
	Address      types.String `tfsdk:"address"`
	Namespace    types.String `tfsdk:"namespace"`
	Registry     types.String `tfsdk:"registry"`
	CallbackTo   types.String `tfsdk:"callback_to"`
	ProxyAddress types.String `tfsdk:"proxy_address"`
	MountDFS     types.String `tfsdk:"mount_dfs"`
	Credentials  types.Object `tfsdk:"credentials"`
	Verify       types.Bool   `tfsdk:"verify"`
	ExpiresAt    types.String `tfsdk:"expires_at"`
	Fingerprint  types.String `tfsdk:"fingerprint"`
	Drift        types.List   `tfsdk:"drift"`
}

type credentialsModel struct {
	ServiceAccount types.String         `tfsdk:"service_account"`
	Lifetime       timetypes.GoDuration `tfsdk:"lifetime"`
}

var credentialsTypes = map[string]attr.Type{"service_account": types.StringType, "lifetime": timetypes.GoDurationType{}}

// location is the wanted location.
func (m infrastructureModel) location() infra.Location {
	return infra.Location{
		Name: m.Name.ValueString(), Address: m.Address.ValueString(), CallbackTo: m.CallbackTo.ValueString(), Namespace: m.Namespace.ValueString(),
		Registry: m.Registry.ValueString(), ProxyAddress: m.ProxyAddress.ValueString(), MountDFS: m.MountDFS.ValueString(),
	}
}

// account is the service account whose token is registered, and how long a token lives.
func (m infrastructureModel) account(ctx context.Context, diags *diag.Diagnostics) (name string, lifetime time.Duration) {
	var model credentialsModel
	if !decode(ctx, m.Credentials, &model, diags) || model.Lifetime.IsNull() || model.Lifetime.IsUnknown() {
		return model.ServiceAccount.ValueString(), 0
	}
	lifetime, found := model.Lifetime.ValueGoDuration()
	diags.Append(found...)
	return model.ServiceAccount.ValueString(), lifetime
}

// refresh takes over the location as the documents have it.
func (m *infrastructureModel) refresh(live infra.Location) {
	m.Address, m.Namespace, m.Registry, m.CallbackTo = text(live.Address), text(live.Namespace), text(live.Registry), text(live.CallbackTo)
	m.ProxyAddress, m.MountDFS = text(live.ProxyAddress), text(live.MountDFS)
}

// adopt takes over what an imported credential says of itself.
func (m *infrastructureModel) adopt(kubeconfig *credentials.Kubeconfig) {
	m.Verify = types.BoolValue(true)
	namespace, account, ok := kubeconfig.ServiceAccount()
	issued, expires, _ := kubeconfig.Lifetime()
	if !ok || namespace != m.Namespace.ValueString() {
		return // somebody's own kubeconfig: the plan shows that a minted one takes its place
	}
	m.Credentials = types.ObjectValueMust(credentialsTypes, map[string]attr.Value{
		"service_account": types.StringValue(account),
		"lifetime":        timetypes.NewGoDurationValue(expires.Sub(issued)),
	})
}

// setCredential takes over what may be known of the registered credential. The fingerprint is salted with the location's name: it tells that
// the credential has changed, and nothing else.
func (m *infrastructureModel) setCredential(kubeconfig []byte, expires time.Time) {
	m.Fingerprint = types.StringValue(credentials.Fingerprint(kubeconfig, []byte(m.Name.ValueString())))
	m.ExpiresAt = moment(expires)
}
