package provider

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
)

var _ datasource.DataSourceWithConfigure = &infrastructureDataSource{}

func newInfrastructureDataSource() datasource.DataSource { return &infrastructureDataSource{} }

type infrastructureDataSource struct{ *connections }

func (d *infrastructureDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_infrastructure"
}

func (d *infrastructureDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := locationAttributes()
	attributes["name"] = schema.StringAttribute{MarkdownDescription: "Name of the location.", Required: true}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A location of the Brane instance as its `infra.yml` has it, whoever registered it, and what its credential says of itself. The credential stays where it is. " +
			instanceDescription,
		Attributes: attributes,
	}
}

// instanceDescription says why what only reads the instance's documents has no cluster to choose.
const instanceDescription = "There is no `cluster` to choose: the documents are the instance's, and `control_plane` in the provider block says where they are."

// locationAttributes are what is told of a location, wherever it is told.
func locationAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	return map[string]schema.Attribute{
		"kind":            text("Kind of the location: `kube`, or `local`, `vm` and `slurm`, of which nothing else is told."),
		"address":         text("`host:port` of the API server."),
		"namespace":       text("Namespace in which Brane makes its Jobs."),
		"registry":        text("`host:port` of the registry."),
		"callback_to":     text("URL of the instance's callback service."),
		"proxy_address":   text("Address of the proxy, if any."),
		"mount_dfs":       text("URL of the Redis of the instance's file system, if any."),
		"secret_name":     text("Name of the kubeconfig in `secrets.yml`; null where the credential stands in `infra.yml` itself."),
		"service_account": text("Service account whose token is registered; null where it is another credential."),
		"expires_at":      text("When the credential expires (RFC 3339); null where it does not, or does not tell."),
	}
}

// locationModel is what is told of a location.
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

// newLocationModel takes over a location, and what its credential says of itself where it can be read.
func newLocationModel(registration infra.Registration) locationModel {
	l := registration.Location
	m := locationModel{
		Kind: text(l.Kind), Address: text(l.Address), Namespace: text(l.Namespace), Registry: text(l.Registry), CallbackTo: text(l.CallbackTo),
		ProxyAddress: text(l.ProxyAddress), MountDFS: text(l.MountDFS), SecretName: text(l.SecretName),
	}
	if kubeconfig, err := credentials.Parse(registration.Kubeconfig); err == nil {
		_, account, _ := kubeconfig.ServiceAccount()
		_, expires, _ := kubeconfig.Lifetime()
		m.ServiceAccount, m.ExpiresAt = text(account), moment(expires)
	}
	return m
}

func (d *infrastructureDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.connections = connectionsOf(req.ProviderData, &resp.Diagnostics)
}

func (d *infrastructureDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model namedLocationModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := model.Name.ValueString()
	store, err := d.store()
	if err != nil {
		report(&resp.Diagnostics, "Control plane not available", fmt.Sprintf("Looking for the files of the Brane instance to read location %q", name), err)
		return
	}
	ctx, done := within(ctx, infrastructureTimeout)
	defer done()

	registration, err := infra.Lookup(ctx, store, name)
	var encoding *infra.EncodingError
	switch {
	case errors.Is(err, infra.ErrNoLocation):
		resp.Diagnostics.AddAttributeError(path.Root("name"), "Location not found", explain(fmt.Sprintf("Reading location %q", name), err))
		return
	case errors.Is(err, infra.ErrNoSecret), errors.As(err, &encoding):
		resp.Diagnostics.AddWarning("Location has no credential that Brane can use", explain(fmt.Sprintf("Reading the credential of location %q", name), err))
	case errors.Is(err, infra.ErrOtherKind):
	case err != nil:
		report(&resp.Diagnostics, "Failed to read location", fmt.Sprintf("Reading location %q from the %s", name, store), err)
		return
	}
	model.locationModel = newLocationModel(registration)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
