package inputs

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// NewSources returns the schema of a map of files by path, each with exactly one of the named attributes.
func NewSources(either ...string) schema.MapNestedAttribute {
	var others []path.Expression
	for _, name := range either[1:] {
		others = append(others, path.MatchRelative().AtParent().AtName(name))
	}
	return schema.MapNestedAttribute{
		Optional:   true,
		Validators: []validator.Map{mapvalidator.KeysAre(RelativePath()), noneBelowAnother{}},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"content": schema.StringAttribute{
				MarkdownDescription: "Content of the file, as text.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.ExactlyOneOf(others...)},
			},
			"source": schema.StringAttribute{
				MarkdownDescription: "Path of a file on the machine that runs Terraform. It is read during plan and again during apply.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"sha256": schema.StringAttribute{
				MarkdownDescription: "SHA-256 digest of the content, in hexadecimal.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{planDigest{}},
			},
		}},
	}
}
