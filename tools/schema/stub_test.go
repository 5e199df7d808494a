package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/action"
	actionschema "github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	datasourceschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	ephemeralschema "github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/list"
	listschema "github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	providerschema "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// stub is a provider with one of everything that can have a schema. A silent one leaves descriptions out,
// a broken one has a schema that the framework refuses.
type stub struct{ silent, broken bool }

// unless gives text, or nothing where the stub is to be silent.
func (s *stub) unless(text string) string {
	if s.silent {
		return ""
	}
	return text
}

// port is a number, or, where the stub is to be silent, an object, whose fields cannot be described.
func (s *stub) port() attr.Type {
	if s.silent {
		return types.ObjectType{AttrTypes: map[string]attr.Type{"port": types.Int64Type, "open": types.BoolType}}
	}
	return types.Int64Type
}

func (s *stub) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "stub"
}

func (s *stub) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	attributes := map[string]providerschema.Attribute{
		"anything": providerschema.DynamicAttribute{Optional: true, Description: "A plain text."},
	}
	if s.broken {
		attributes["Not a name"] = providerschema.StringAttribute{Optional: true, Description: "No name at all."}
	}
	resp.Schema = providerschema.Schema{MarkdownDescription: "A stub.", Attributes: attributes}
}

func (s *stub) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}

func (s *stub) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return &thing{stub: s} }}
}

func (s *stub) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{func() datasource.DataSource { return &look{} }}
}

func (s *stub) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{func() ephemeral.EphemeralResource { return &token{} }}
}

func (s *stub) Functions(context.Context) []func() function.Function {
	return []func() function.Function{func() function.Function { return &shout{stub: s} }}
}

func (s *stub) Actions(context.Context) []func() action.Action {
	return []func() action.Action{func() action.Action { return &rerun{} }}
}

func (s *stub) ListResources(context.Context) []func() list.ListResource {
	return []func() list.ListResource{func() list.ListResource { return &things{} }}
}

type thing struct {
	resource.Resource
	stub *stub
}

func (r *thing) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "stub_thing"
}

func (r *thing) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = resourceschema.Schema{
		Version:             2,
		MarkdownDescription: "A *thing*.",
		Attributes: map[string]resourceschema.Attribute{
			"name":      resourceschema.StringAttribute{Required: true, MarkdownDescription: "Its name."},
			"secret_wo": resourceschema.StringAttribute{Optional: true, WriteOnly: true, MarkdownDescription: "Never stored."},
			"secret":    resourceschema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Stored.", DeprecationMessage: "Use secret_wo."},
			"labels":    resourceschema.MapAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "Its labels."},
			"ports":     resourceschema.ListAttribute{ElementType: r.stub.port(), Computed: true, MarkdownDescription: "Its ports."},
			"size": resourceschema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Its size.",
				Attributes: map[string]resourceschema.Attribute{
					"width": resourceschema.NumberAttribute{Optional: true, MarkdownDescription: r.stub.unless("Its width.")},
				},
			},
		},
		Blocks: map[string]resourceschema.Block{
			"rule": resourceschema.ListNestedBlock{
				MarkdownDescription: r.stub.unless("A rule."),
				NestedObject: resourceschema.NestedBlockObject{Attributes: map[string]resourceschema.Attribute{
					"verbs": resourceschema.SetAttribute{ElementType: types.StringType, Required: true, MarkdownDescription: r.stub.unless("Its verbs.")},
				}},
			},
		},
	}
}

func (r *thing) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name": identityschema.StringAttribute{RequiredForImport: true, Description: r.stub.unless("Its name.")},
		"zone": identityschema.StringAttribute{OptionalForImport: true, Description: "Its zone."},
	}}
}

type look struct{ datasource.DataSource }

func (*look) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "stub_look"
}

func (*look) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = datasourceschema.Schema{MarkdownDescription: "A look at a thing."}
}

type token struct{ ephemeral.EphemeralResource }

func (*token) Metadata(_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = "stub_token"
}

func (*token) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = ephemeralschema.Schema{MarkdownDescription: "A token."}
}

type shout struct {
	function.Function
	stub *stub
}

func (*shout) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "shout"
}

func (f *shout) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Says it louder",
		MarkdownDescription: "Says it *louder*.",
		Parameters:          []function.Parameter{function.StringParameter{Name: "text", AllowNullValue: true, MarkdownDescription: "What to say."}},
		VariadicParameter:   function.StringParameter{Name: "suffixes", MarkdownDescription: f.stub.unless("What to add.")},
		Return:              function.ObjectReturn{AttributeTypes: map[string]attr.Type{"text": types.StringType, "loud": types.BoolType}},
	}
}

type rerun struct{ action.Action }

func (*rerun) Metadata(_ context.Context, _ action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = "stub_rerun"
}

func (*rerun) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = actionschema.Schema{MarkdownDescription: "Runs a thing again."}
}

type things struct{ list.ListResource }

func (*things) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "stub_thing"
}

func (*things) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = listschema.Schema{MarkdownDescription: "All the things."}
}
