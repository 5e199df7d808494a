package infrastructure

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ datasource.DataSourceWithConfigure = &infrastructuresDataSource{}

// NewPluralDataSource returns the data source `brane_infrastructures`.
func NewPluralDataSource() datasource.DataSource { return &infrastructuresDataSource{} }

type infrastructuresDataSource struct{ clients *clients.Clients }

func (d *infrastructuresDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_infrastructures"
}

func (d *infrastructuresDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads all locations of the Brane instance, of every kind, also those that Terraform does not manage. " + instanceDescription,
		Attributes: map[string]schema.Attribute{
			"infrastructures": schema.MapNestedAttribute{
				MarkdownDescription: "Locations by name. Empty if `infra.yml` does not exist.",
				Computed:            true,
				NestedObject:        schema.NestedAttributeObject{Attributes: locationAttributes()},
			},
		},
	}
}

type infrastructuresModel struct {
	Infrastructures map[string]locationModel `tfsdk:"infrastructures"`
}

func (d *infrastructuresDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (d *infrastructuresDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	store, err := d.clients.ConfigStore()
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Control plane not available", "Looking for the files of the Brane instance to read its locations", err)
		return
	}
	ctx, done := attribute.WithLimit(ctx, infrastructureTimeout)
	defer done()

	files, err := store.Read(ctx)
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to read locations", "Reading all locations from the "+store.String(), err)
		return
	}
	model := infrastructuresModel{map[string]locationModel{}}
	for _, name := range files.Infra.Names() {
		// A location is included also if its credentials are invalid or if it is of another kind.
		registration, _ := files.Lookup(name)
		model.Infrastructures[name] = newLocationModel(registration)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
