package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet/packagefile"
	"github.com/braneframework/terraform-provider-brane/internal/brane/image"
)

var _ datasource.DataSource = &packageDataSource{}

// packageTimeout bounds the look at a registry: the description of a package is in one of its image's last layers.
const packageTimeout = 2 * time.Minute

func newPackageDataSource() datasource.DataSource { return &packageDataSource{} }

type packageDataSource struct{}

func (d *packageDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_package"
}

func (d *packageDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	nested := func(description string, attributes map[string]schema.Attribute) schema.ListNestedAttribute {
		return schema.ListNestedAttribute{MarkdownDescription: description, Computed: true, NestedObject: schema.NestedAttributeObject{Attributes: attributes}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "What a Brane package offers, from its `package.yml` or `container.yml`, or from its image in a registry: its functions, what they take and give, and the types that it defines. " +
			"Nothing is run, and no Brane instance is asked.",
		Attributes: map[string]schema.Attribute{
			"file": schema.StringAttribute{
				MarkdownDescription: "Path of a `package.yml`, `container.yml` or `local_container.yml` on this machine.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.ExactlyOneOf(path.MatchRoot("file"), path.MatchRoot("image"))},
			},
			"image": schema.StringAttribute{
				MarkdownDescription: "Reference of the package's image, for example `198.51.100.10:50050/library/filesystem:1.0.0`. Its registry is asked from the machine on which Terraform runs, with the credentials that docker and podman keep there; " +
					"the description is read out of the image's layers, from the last one on.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"name":        text("Name of the package."),
			"version":     text("Version of the package. Null where it is read from an image of Brane 0.6 or newer, whose description has none."),
			"kind":        text("Kind of the package: `ecu`, `oas`, `dsl` or `cwl`; for Brane 0.4 any word."),
			"description": text("What its author says of it."),
			"owners":      schema.ListAttribute{MarkdownDescription: "Its authors.", ElementType: types.StringType, Computed: true},
			"detached":    schema.BoolAttribute{MarkdownDescription: "Whether its functions are services, which do not end.", Computed: true},
			"functions": schema.MapNestedAttribute{
				MarkdownDescription: "Its functions by their names.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"description": text("What its author says of it."),
					"returns":     text("Type of its result."),
					"parameters": nested("Its arguments, all of which branelet needs.", map[string]schema.Attribute{
						"name":     text("Name of the argument."),
						"type":     text("Type of the argument."),
						"optional": schema.BoolAttribute{MarkdownDescription: "Whether its author calls it optional.", Computed: true},
						"secret":   schema.BoolAttribute{MarkdownDescription: "Whether its value is confidential.", Computed: true},
					}),
				}},
			},
			"types": schema.MapNestedAttribute{
				MarkdownDescription: "The types that it defines, by their names.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"properties": nested("What an instance consists of.", map[string]schema.Attribute{"name": text("Name of the property."), "type": text("Type of the property.")}),
				}},
			},
			"pinned":     text("The image by its digest. Null where a file is read."),
			"entrypoint": schema.ListAttribute{MarkdownDescription: "What the image runs: `/branelet`, where Brane has built it. Null where a file is read.", ElementType: types.StringType, Computed: true},
			"labels":     schema.MapAttribute{MarkdownDescription: "The image's labels. Null where a file is read.", ElementType: types.StringType, Computed: true},
		},
	}
}

type packageDataModel struct {
	File        types.String             `tfsdk:"file"`
	Image       types.String             `tfsdk:"image"`
	Name        types.String             `tfsdk:"name"`
	Version     types.String             `tfsdk:"version"`
	Kind        types.String             `tfsdk:"kind"`
	Description types.String             `tfsdk:"description"`
	Owners      []string                 `tfsdk:"owners"`
	Detached    types.Bool               `tfsdk:"detached"`
	Functions   map[string]functionModel `tfsdk:"functions"`
	Types       map[string]typeModel     `tfsdk:"types"`
	Pinned      types.String             `tfsdk:"pinned"`
	Entrypoint  []string                 `tfsdk:"entrypoint"`
	Labels      map[string]string        `tfsdk:"labels"`
}

type functionModel struct {
	Description types.String     `tfsdk:"description"`
	Returns     types.String     `tfsdk:"returns"`
	Parameters  []parameterModel `tfsdk:"parameters"`
}

type parameterModel struct {
	Name     string `tfsdk:"name"`
	Type     string `tfsdk:"type"`
	Optional bool   `tfsdk:"optional"`
	Secret   bool   `tfsdk:"secret"`
}

type typeModel struct {
	Properties []propertyModel `tfsdk:"properties"`
}

type propertyModel struct {
	Name string `tfsdk:"name"`
	Type string `tfsdk:"type"`
}

func (d *packageDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model packageDataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if model.Image.IsNull() {
		name := model.File.ValueString()
		described, err := readPackageFile(name)
		if err != nil {
			resp.Diagnostics.AddAttributeError(path.Root("file"), "Package file not readable", explain(fmt.Sprintf("Reading %q", name), err)+"\n\nGive the path of a package.yml or container.yml.")
			return
		}
		model.describe(described)
	} else if model.lookUp(ctx, &resp.Diagnostics); resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

// descriptions are where a package's image describes it: Brane 0.6 and newer in the first, 0.4 and 0.5 in the second.
var descriptions = []string{branelet.WorkDir + "/local_container.yml", branelet.WorkDir + "/container.yml"}

// lookUp reads what the image says of itself, and what its package's file does.
func (m *packageDataModel) lookUp(ctx context.Context, diags *diag.Diagnostics) {
	ctx, done := within(ctx, packageTimeout)
	defer done()
	reference := m.Image.ValueString()
	found, err := image.Lookup(ctx, reference)
	if err != nil {
		diags.AddAttributeError(path.Root("image"), "Failed to read image", explain(fmt.Sprintf("Reading package %q", reference), err)+
			"\n\nSee that the registry is reachable from here and knows the image; log in to it where it wants that (docker login).")
		return
	}
	m.Pinned, m.Entrypoint, m.Labels = types.StringValue(found.Pinned), append([]string{}, found.Entrypoint...), found.Labels
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	text, err := image.File(ctx, found.Pinned, packagefile.MaxSize, descriptions...)
	var described packagefile.Package
	if err == nil {
		described, err = packagefile.Parse(text)
	}
	switch {
	case errors.Is(err, image.ErrNoFile):
		diags.AddAttributeError(path.Root("image"), "Image is not a Brane package", fmt.Sprintf("Image %q has neither %s nor %s, one of which Brane puts into every package.", reference, descriptions[0], descriptions[1]))
	case err != nil:
		diags.AddAttributeError(path.Root("image"), "Failed to read package", explain(fmt.Sprintf("Reading the description of package %q", reference), err))
	default:
		m.describe(described)
	}
}

// describe takes over what a package's file says.
func (m *packageDataModel) describe(p packagefile.Package) {
	m.Name, m.Version, m.Kind, m.Description, m.Detached = text(p.Name), text(p.Version), text(p.Kind), text(p.Description), types.BoolValue(p.Detached)
	m.Owners, m.Functions, m.Types = append([]string{}, p.Owners...), map[string]functionModel{}, map[string]typeModel{}
	for name, function := range p.Functions {
		described := functionModel{Description: text(function.Description), Returns: types.StringValue(function.Returns), Parameters: []parameterModel{}}
		for _, parameter := range function.Parameters {
			described.Parameters = append(described.Parameters, parameterModel(parameter))
		}
		m.Functions[name] = described
	}
	for name, defined := range p.Types {
		described := typeModel{Properties: []propertyModel{}}
		for _, property := range defined.Properties {
			described.Properties = append(described.Properties, propertyModel(property))
		}
		m.Types[name] = described
	}
}
