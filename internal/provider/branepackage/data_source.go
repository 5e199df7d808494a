// Package branepackage implements the data source brane_package.
package branepackage

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
	"github.com/braneframework/terraform-provider-brane/internal/brane/redact"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ datasource.DataSource = &packageDataSource{}

// packageTimeout limits the requests to a registry. The description of a package is in one of the last layers of its image.
const packageTimeout = 2 * time.Minute

// NewDataSource returns the data source `brane_package`.
func NewDataSource() datasource.DataSource { return &packageDataSource{} }

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
		MarkdownDescription: "Reads the functions and types of a Brane package from its `package.yml` or `container.yml`, or from its image in a registry. " +
			"The package is not executed, and no Brane instance is needed. The guide [Brane packages](../guides/packages.md) describes how to call it.",
		Attributes: map[string]schema.Attribute{
			"file": schema.StringAttribute{
				MarkdownDescription: "Path of a `package.yml`, `container.yml` or `local_container.yml` on the machine that runs Terraform. Conflicts with `image`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.ExactlyOneOf(path.MatchRoot("file"), path.MatchRoot("image"))},
			},
			"image": schema.StringAttribute{
				MarkdownDescription: "Reference of the image of the package, for example `198.51.100.10:50050/library/filesystem:1.0.0`. The machine that runs Terraform reads the description from the layers of the image, " +
					"with its docker or podman credentials for the registry.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"name":        text("Name of the package."),
			"version":     text("Version of the package. Null for an image of Brane 0.6 or later, whose description has no version."),
			"kind":        text("Kind of the package: `ecu`, `oas`, `dsl` or `cwl`; an arbitrary value for Brane 0.4."),
			"description": text("Description of the package."),
			"owners":      schema.ListAttribute{MarkdownDescription: "Authors of the package.", ElementType: types.StringType, Computed: true},
			"detached":    schema.BoolAttribute{MarkdownDescription: "Whether the functions are services, which do not terminate.", Computed: true},
			"functions": schema.MapNestedAttribute{
				MarkdownDescription: "Functions by name.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"description": text("Description of the function."),
					"returns":     text("Type of the result."),
					"parameters": nested("Arguments. branelet requires all of them.", map[string]schema.Attribute{
						"name":     text("Name of the argument."),
						"type":     text("Type of the argument."),
						"optional": schema.BoolAttribute{MarkdownDescription: "Whether the package declares it optional.", Computed: true},
						"secret":   schema.BoolAttribute{MarkdownDescription: "Whether the package declares it secret.", Computed: true},
					}),
				}},
			},
			"types": schema.MapNestedAttribute{
				MarkdownDescription: "Types that the package defines, by name.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"properties": nested("Properties of the type.", map[string]schema.Attribute{"name": text("Name of the property."), "type": text("Type of the property.")}),
				}},
			},
			"pinned":     text("Image reference with its digest. Null if `file` is set."),
			"entrypoint": schema.ListAttribute{MarkdownDescription: "Entrypoint of the image, `/branelet` if Brane has built it. Null if `file` is set.", ElementType: types.StringType, Computed: true},
			"labels":     schema.MapAttribute{MarkdownDescription: "Labels of the image. Null if `file` is set.", ElementType: types.StringType, Computed: true},
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
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	if model.Image.IsNull() {
		name := model.File.ValueString()
		described, err := packagefile.ReadFile(name)
		if err != nil {
			resp.Diagnostics.AddAttributeError(path.Root("file"), "Failed to read package file", diagnostic.ErrorDetail(fmt.Sprintf("Reading %q", name), err)+"\n\nSet the path of a package.yml or container.yml.")
			return
		}
		model.describe(described)
	} else if model.lookUp(ctx, &resp.Diagnostics); resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

// descriptions lists the paths of the description in the image of a package: of Brane 0.6 and later, and of 0.4 and 0.5.
var descriptions = []string{branelet.WorkDir + "/local_container.yml", branelet.WorkDir + "/container.yml"}

// lookUp reads the configuration of the image and the description of the package in it.
func (m *packageDataModel) lookUp(ctx context.Context, diags *diag.Diagnostics) {
	ctx, done := attribute.WithLimit(ctx, packageTimeout)
	defer done()
	reference := m.Image.ValueString()
	found, err := image.Lookup(ctx, reference)
	if err != nil {
		diags.AddAttributeError(path.Root("image"), "Failed to read image", diagnostic.ErrorDetail(fmt.Sprintf("Reading package %q", redact.HideUserInfo(reference)), err)+
			"\n\nCheck that the machine that runs Terraform can connect to the registry and that the image exists; log in if the registry requires it (docker login).")
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
		diags.AddAttributeError(path.Root("image"), "Image is not a Brane package", fmt.Sprintf("Image %q contains neither %s nor %s, one of which is in every Brane package.", reference, descriptions[0], descriptions[1]))
	case err != nil:
		diags.AddAttributeError(path.Root("image"), "Failed to read package", diagnostic.ErrorDetail(fmt.Sprintf("Reading the description of package %q", reference), err))
	default:
		m.describe(described)
	}
}

// describe sets the attributes from the description of a package.
func (m *packageDataModel) describe(p packagefile.Package) {
	m.Name, m.Version, m.Kind, m.Description, m.Detached = attribute.StringOrNull(p.Name), attribute.StringOrNull(p.Version), attribute.StringOrNull(p.Kind), attribute.StringOrNull(p.Description), types.BoolValue(p.Detached)
	m.Owners, m.Functions, m.Types = append([]string{}, p.Owners...), map[string]functionModel{}, map[string]typeModel{}
	for name, function := range p.Functions {
		described := functionModel{Description: attribute.StringOrNull(function.Description), Returns: types.StringValue(function.Returns), Parameters: []parameterModel{}}
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
