package infrastructure

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ datasource.DataSourceWithConfigure = &infrastructureDataSource{}

// NewDataSource returns the data source `brane_infrastructure`.
func NewDataSource() datasource.DataSource { return &infrastructureDataSource{} }

type infrastructureDataSource struct{ clients *clients.Clients }

func (d *infrastructureDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_infrastructure"
}

func (d *infrastructureDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := locationAttributes()
	attributes["name"] = schema.StringAttribute{MarkdownDescription: "Name of the location.", Required: true}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads a location of the Brane instance from `infra.yml`, also one that Terraform does not manage. Its credentials are not stored in the state, only their service account and expiry time. " +
			instanceDescription,
		Attributes: attributes,
	}
}

// instanceDescription states why data sources that read the configuration files of the instance have no cluster attribute.
const instanceDescription = "The files are those of `control_plane` in the provider block."

// locationAttributes returns the attributes of a location in data sources.
func locationAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	return map[string]schema.Attribute{
		"kind":            text("Kind of the location: `kube`, `local`, `vm` or `slurm`. The other attributes are only set for `kube`."),
		"address":         text("`host:port` of the API server."),
		"namespace":       text("Namespace of Brane's Jobs."),
		"registry":        text("`host:port` of the registry."),
		"callback_to":     text("URL of the instance's callback service."),
		"proxy_address":   text("Address of the proxy, if any."),
		"mount_dfs":       schema.StringAttribute{MarkdownDescription: "URL of the Redis of the instance's file system, if any. It can contain a password.", Computed: true, Sensitive: true},
		"secret_name":     text("Name of the kubeconfig in `secrets.yml`. Null if the credentials are in `infra.yml`."),
		"service_account": text("Service account whose token is registered. Null for other credentials."),
		"expires_at":      text("Expiry time of the credentials (RFC 3339). Null if they do not expire, or if it is not known."),
	}
}

// locationModel holds the attributes of a location.
type locationModel struct {
	Kind           types.String `tfsdk:"kind"`
	Address        types.String `tfsdk:"address"`
	Namespace      types.String `tfsdk:"namespace"`
	Registry       types.String `tfsdk:"registry"`
	CallbackTo     types.String `tfsdk:"callback_to"`
	ProxyAddress   types.String `tfsdk:"proxy_address"`
	MountDFS       types.String `tfsdk:"mount_dfs"`
	SecretName     types.String `tfsdk:"secret_name"`
	ServiceAccount types.String `tfsdk:"service_account"`
	ExpiresAt      types.String `tfsdk:"expires_at"`
}

type namedLocationModel struct {
	Name types.String `tfsdk:"name"`
	locationModel
}

// newLocationModel converts a location, and reads the service account and expiry time from its credentials if possible.
func newLocationModel(registration infra.Registration) locationModel {
	l := registration.Location.WithoutUserInfo()
	m := locationModel{
		Kind: attribute.StringOrNull(l.Kind), Address: attribute.StringOrNull(l.Address), Namespace: attribute.StringOrNull(l.Namespace), Registry: attribute.StringOrNull(l.Registry), CallbackTo: attribute.StringOrNull(l.CallbackTo),
		ProxyAddress: attribute.StringOrNull(l.ProxyAddress), MountDFS: attribute.StringOrNull(l.MountDFS), SecretName: attribute.StringOrNull(l.SecretName),
	}
	if kubeconfig, err := credentials.Parse(registration.Kubeconfig); err == nil {
		_, account, _ := kubeconfig.ServiceAccount()
		_, expires, _ := kubeconfig.Lifetime()
		m.ServiceAccount, m.ExpiresAt = attribute.StringOrNull(account), attribute.TimeOrNull(expires)
	}
	return m
}

func (d *infrastructureDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (d *infrastructureDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model namedLocationModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	name := model.Name.ValueString()
	store, err := d.clients.ConfigStore()
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Control plane not available", fmt.Sprintf("Looking for the files of the Brane instance to read location %q", name), err)
		return
	}
	ctx, done := attribute.WithLimit(ctx, infrastructureTimeout)
	defer done()

	registration, err := infra.Lookup(ctx, store, name)
	var encoding *infra.EncodingError
	switch {
	case errors.Is(err, infra.ErrNoLocation):
		resp.Diagnostics.AddAttributeError(path.Root("name"), "Location not found", diagnostic.ErrorDetail(fmt.Sprintf("Reading location %q", name), err))
		return
	case errors.Is(err, infra.ErrNoSecret), errors.As(err, &encoding):
		resp.Diagnostics.AddWarning("Location has no usable credentials", diagnostic.ErrorDetail(fmt.Sprintf("Reading the credential of location %q", name), err))
	case errors.Is(err, infra.ErrOtherKind):
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to read location", fmt.Sprintf("Reading location %q from the %s", name, store), err)
		return
	}
	model.locationModel = newLocationModel(registration)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
