package namespace

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ datasource.DataSourceWithConfigure = &namespaceDataSource{}

// NewDataSource returns the data source `brane_namespace`.
func NewDataSource() datasource.DataSource { return &namespaceDataSource{} }

type namespaceDataSource struct{ clients *clients.Clients }

func (d *namespaceDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_namespace"
}

func (d *namespaceDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	metadata := func(description string) schema.MapAttribute {
		return schema.MapAttribute{MarkdownDescription: description, ElementType: types.StringType, Computed: true}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads an existing namespace that this configuration does not manage.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the Namespace.",
				Required:            true,
				Validators:          []validator.String{attribute.DNSLabel()},
			},
			"cluster": schema.StringAttribute{
				MarkdownDescription: attribute.ClusterDescription,
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"uid":         schema.StringAttribute{MarkdownDescription: "UID of the Namespace.", Computed: true},
			"labels":      metadata("All labels of the Namespace."),
			"annotations": metadata("All annotations of the Namespace."),
			"managed":     schema.BoolAttribute{MarkdownDescription: "Whether a `brane_namespace` manages the Namespace.", Computed: true},
			"access": schema.StringAttribute{
				MarkdownDescription: "Permissions of its service account, `submit` or `run` (see `brane_namespace`). Null if it has custom rules or is not managed.",
				Computed:            true,
			},
			"service_account": schema.SingleNestedAttribute{
				MarkdownDescription: "ServiceAccount that is granted the permissions. Null if the Namespace is not managed.",
				Computed:            true,
				Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{MarkdownDescription: "Name of the ServiceAccount.", Computed: true},
				},
			},
		},
	}
}

type namespaceDataModel struct {
	Name           types.String      `tfsdk:"name"`
	Cluster        types.String      `tfsdk:"cluster"`
	UID            types.String      `tfsdk:"uid"`
	Labels         map[string]string `tfsdk:"labels"`
	Annotations    map[string]string `tfsdk:"annotations"`
	Managed        types.Bool        `tfsdk:"managed"`
	Access         types.String      `tfsdk:"access"`
	ServiceAccount *accountDataModel `tfsdk:"service_account"`
}

type accountDataModel struct {
	Name types.String `tfsdk:"name"`
}

func (d *namespaceDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (d *namespaceDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model namespaceDataModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	name := model.Name.ValueString()
	found, err := d.findNamespace(ctx, model)
	var none *clients.NoClusterError
	switch {
	case errors.Is(err, clients.ErrNotKnown) && req.ClientCapabilities.DeferralAllowed:
		resp.Deferred = &datasource.Deferred{Reason: datasource.DeferredReasonProviderConfigUnknown}
		return
	case errors.As(err, &none):
		resp.Diagnostics.AddAttributeError(path.Root("cluster"), "Unknown cluster", diagnostic.ErrorDetail(fmt.Sprintf("Reading namespace %q", name), err))
		return
	case errors.Is(err, namespace.ErrGone):
		resp.Diagnostics.AddAttributeError(path.Root("name"), "Namespace not found",
			fmt.Sprintf("Reading namespace %q: the cluster does not have it, or it is being deleted. For a namespace of the same configuration, refer to its resource instead of a data source.", name))
		return
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to read Namespace", fmt.Sprintf("Reading namespace %q", name), err)
		return
	}
	model.UID, model.Labels, model.Annotations, model.Managed = types.StringValue(found.UID), found.Labels, found.Annotations, types.BoolValue(found.Managed)
	if found.Managed {
		model.Access, model.ServiceAccount = attribute.StringOrNull(string(found.Spec.Access)), &accountDataModel{attribute.StringOrNull(found.Spec.ServiceAccount)}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (d *namespaceDataSource) findNamespace(ctx context.Context, model namespaceDataModel) (namespace.Found, error) {
	reader, err := d.clients.NamespaceReader(model.Cluster)
	if err != nil {
		return namespace.Found{}, err
	}
	return namespace.Find(ctx, reader, model.Name.ValueString())
}
