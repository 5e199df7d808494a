package infrastructure

import (
	"cmp"
	"context"
	"net"
	"net/url"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

type infrastructureModel struct {
	Name              types.String   `tfsdk:"name"`
	Cluster           types.String   `tfsdk:"cluster"`
	Address           types.String   `tfsdk:"address"`
	Namespace         types.String   `tfsdk:"namespace"`
	Registry          types.String   `tfsdk:"registry"`
	CallbackTo        types.String   `tfsdk:"callback_to"`
	ProxyAddress      types.String   `tfsdk:"proxy_address"`
	MountDFS          types.String   `tfsdk:"mount_dfs"`
	SecretName        types.String   `tfsdk:"secret_name"`
	Credentials       types.Object   `tfsdk:"credentials"`
	VerifyCredentials types.Bool     `tfsdk:"verify_credentials"`
	ExpiresAt         types.String   `tfsdk:"expires_at"`
	Fingerprint       types.String   `tfsdk:"fingerprint"`
	TokenSecret       types.String   `tfsdk:"token_secret"`
	Drift             types.List     `tfsdk:"drift"`
	Timeouts          timeouts.Value `tfsdk:"timeouts"`
}

func (m *infrastructureModel) TimeoutLimits() (timeouts.Value, time.Duration) {
	return m.Timeouts, infrastructureTimeout
}

type credentialsModel struct {
	ServiceAccount      types.String         `tfsdk:"service_account"`
	Lifetime            timetypes.GoDuration `tfsdk:"lifetime"`
	RenewBefore         timetypes.GoDuration `tfsdk:"renew_before"`
	LongLived           types.Bool           `tfsdk:"long_lived"`
	RotationTriggers    types.Map            `tfsdk:"rotation_triggers"`
	KubeconfigWO        types.String         `tfsdk:"kubeconfig_wo"`
	KubeconfigWOVersion types.Int64          `tfsdk:"kubeconfig_wo_version"`
}

var credentialsTypes = map[string]attr.Type{
	"service_account": types.StringType, "lifetime": timetypes.GoDurationType{}, "renew_before": timetypes.GoDurationType{}, "long_lived": types.BoolType, "rotation_triggers": types.MapType{ElemType: types.StringType},
	"kubeconfig_wo": types.StringType, "kubeconfig_wo_version": types.Int64Type,
}

// defaultLifetime is the default of lifetime. Renewal in the last third of it requires an apply each month.
const defaultLifetime = 90 * 24 * time.Hour

// toLocation returns the wanted location.
func (m infrastructureModel) toLocation() infra.Location {
	return infra.Location{
		Name: m.Name.ValueString(), Address: m.Address.ValueString(), CallbackTo: m.CallbackTo.ValueString(), Namespace: m.Namespace.ValueString(),
		Registry: m.Registry.ValueString(), ProxyAddress: m.ProxyAddress.ValueString(), MountDFS: m.MountDFS.ValueString(), SecretName: m.SecretName.ValueString(),
	}
}

func (m infrastructureModel) identity() attribute.Identity {
	return attribute.Identity{Name: m.Name, Cluster: m.Cluster}
}

// credentials decodes the credentials. All attributes are unknown if the object is.
func (m infrastructureModel) credentials(ctx context.Context, diags *diag.Diagnostics) credentialsModel {
	wanted := m.credentialsOrDefault()
	if wanted.IsUnknown() {
		return credentialsModel{
			ServiceAccount: types.StringUnknown(), Lifetime: timetypes.NewGoDurationUnknown(), RenewBefore: timetypes.NewGoDurationUnknown(), LongLived: types.BoolUnknown(),
			RotationTriggers: types.MapUnknown(types.StringType), KubeconfigWO: types.StringUnknown(), KubeconfigWOVersion: types.Int64Unknown(),
		}
	}
	var model credentialsModel
	diags.Append(wanted.As(ctx, &model, basetypes.ObjectAsOptions{})...)
	return model
}

// credentialsOrDefault returns the configured credentials, or a token of the service account that brane_namespace creates by default. The default is not part
// of the plan, because the CLI would print a line for kubeconfig_wo in it.
func (m infrastructureModel) credentialsOrDefault() types.Object {
	if !m.Credentials.IsNull() {
		return m.Credentials
	}
	return serviceAccountCredentials(types.StringValue(namespace.ObjectName), timetypes.NewGoDurationNull(), types.BoolNull())
}

// serviceAccountCredentials returns credentials whose other attributes are null.
func serviceAccountCredentials(account types.String, lifetime timetypes.GoDuration, longLived types.Bool) types.Object {
	return types.ObjectValueMust(credentialsTypes, map[string]attr.Value{
		"service_account": account, "lifetime": lifetime, "renew_before": timetypes.NewGoDurationNull(), "long_lived": longLived,
		"rotation_triggers": types.MapNull(types.StringType), "kubeconfig_wo": types.StringNull(), "kubeconfig_wo_version": types.Int64Null(),
	})
}

// lifetime returns the lifetime to request for a token.
func (m credentialsModel) lifetime(diags *diag.Diagnostics) time.Duration {
	return cmp.Or(attribute.DurationOrZero(m.Lifetime, diags), defaultLifetime)
}

// refresh sets the attributes from infra.yml, except secret_name: if another name was written there, the resource must still remove the secret that it has
// registered.
func (m *infrastructureModel) refresh(live infra.Location) {
	live = live.WithoutUserInfo()
	m.Address, m.Namespace, m.Registry, m.CallbackTo = attribute.StringOrNull(live.Address), attribute.StringOrNull(live.Namespace), attribute.StringOrNull(live.Registry), attribute.StringOrNull(live.CallbackTo)
	m.ProxyAddress, m.MountDFS = attribute.StringOrNull(live.ProxyAddress), attribute.StringOrNull(live.MountDFS)
}

// adopt sets the attributes of imported credentials from their token. A kubeconfig of the user contains no such values; they are null, and the plan shows what
// replaces it.
func (m *infrastructureModel) adopt(raw []byte, kubeconfig *credentials.Kubeconfig) {
	account, lifetime, longLived := types.StringNull(), timetypes.NewGoDurationNull(), types.BoolNull()
	if inNamespace, name, ok := kubeconfig.ServiceAccount(); ok && inNamespace == m.Namespace.ValueString() {
		account = types.StringValue(name)
		issued, expires, _ := kubeconfig.Lifetime()
		if expires.IsZero() {
			longLived = types.BoolValue(true)
		} else if asked := expires.Sub(issued); asked != defaultLifetime {
			lifetime = timetypes.NewGoDurationValueFromStringMust(attribute.FormatDuration(asked))
		}
	}
	m.Credentials = serviceAccountCredentials(account, lifetime, longLived)
	m.setCredential(raw, kubeconfig)
}

// setCredential sets the computed attributes of the registered credentials. The fingerprint is salted with the name of the location, so that it only shows
// that the credentials have changed.
func (m *infrastructureModel) setCredential(raw []byte, kubeconfig *credentials.Kubeconfig) {
	_, expires, _ := kubeconfig.Lifetime()
	m.Fingerprint = types.StringValue(m.fingerprintOf(raw))
	m.ExpiresAt = attribute.TimeOrNull(expires)
	m.TokenSecret = types.StringNull()
	if longLived, ok := m.Credentials.Attributes()["long_lived"].(types.Bool); ok && longLived.ValueBool() {
		m.TokenSecret = attribute.StringOrNull(kubeconfig.TokenSecret())
	}
}

func (m infrastructureModel) fingerprintOf(kubeconfig []byte) string {
	return credentials.Fingerprint(kubeconfig, []byte(m.Name.ValueString()))
}

// serverURL returns the URL of the API server at an address. If that is the address of the provider's own connection, the URL has the same path.
func serverURL(address, connection string) string {
	server := "https://" + address
	if isAddressOf(address, connection) {
		server += kube.ServerPath(connection)
	}
	return server
}

// isAddressOf reports whether an address is the host and the port of a connection.
func isAddressOf(address, connection string) bool {
	return kube.NormalizeAddress(address) == kube.NormalizeAddress(hostPort(connection))
}

// hostPort returns the host and port of the URL of an API server, with port 443 by default. It is empty if the URL has no host.
func hostPort(server string) string {
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Hostname() == "":
		return ""
	case u.Port() == "":
		return net.JoinHostPort(u.Hostname(), "443")
	default:
		return u.Host
	}
}
