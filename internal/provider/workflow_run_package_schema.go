package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// besidePackage is the attribute that all others about a call need.
var besidePackage = path.MatchRelative().AtParent().AtName("package")

// packageAttributes are those of a step that calls a function of a Brane package.
func packageAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"package": schema.StringAttribute{
			MarkdownDescription: "A Brane package to call instead of a program, as `name:version`. Its image is `<registry>/library/<name>:<version>`, from the registry of the infrastructure, unless `image` is set. " +
				"It runs as every step does: without privileges, and with the run's files at `/data`. A function has to be named; `command` and `args` cannot be.",
			Optional: true,
			Validators: []validator.String{packageReference(), stringvalidator.ConflictsWith(
				path.MatchRelative().AtParent().AtName("command"), path.MatchRelative().AtParent().AtName("args"),
			)},
		},
		"function": schema.StringAttribute{
			MarkdownDescription: "The function of the package.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.AlsoRequires(besidePackage)},
		},
		"arguments": argumentsSchema(),
		"kind": schema.StringAttribute{
			MarkdownDescription: "How the package runs its functions: `ecu` (it executes code; Brane 0.4 calls this `code`) or `oas` (it calls a web API). Default: what `package_file` says, else the former.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.OneOf(string(branelet.ECU), string(branelet.Code), string(branelet.OAS)), stringvalidator.AlsoRequires(besidePackage)},
		},
		"brane_version": schema.StringAttribute{
			MarkdownDescription: "Version of Brane with which the package was built: `0.4`, `0.5`, `0.6`, `1`, `2`, `3`, `4`, or a release of one of them like `0.6.3`. It decides how arguments and results are written. " +
				"Default: `control_plane.brane_version` of the provider.",
			Optional:   true,
			Validators: []validator.String{packageVersion(), stringvalidator.AlsoRequires(besidePackage)},
		},
		"package_file": schema.StringAttribute{
			MarkdownDescription: "Path of the package's `package.yml` or `container.yml` on this machine. With it, functions, arguments and their types are checked when Terraform plans.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.AlsoRequires(besidePackage)},
		},
	}
}

// argumentsSchema says of each argument its type, since Terraform has only one for all numbers, and none for files.
func argumentsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "The function's arguments by their names. Each has one attribute, its value by its type, for example `{ integer = 3 }`, `{ file = \"corpus/alice.txt\" }` or `{ step = \"count\" }`. " +
			fmt.Sprintf("They stand in the Job for everybody who may read it: they are no place for secrets. Together they can have about %d KiB; large values belong in files.", branelet.MaxArguments*3/4>>10),
		Optional:   true,
		Validators: []validator.Map{mapvalidator.AlsoRequires(besidePackage)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"boolean": schema.BoolAttribute{MarkdownDescription: "A `boolean`.", Optional: true},
			"integer": schema.Int64Attribute{MarkdownDescription: "An `integer` of 64 bits.", Optional: true},
			"real":    schema.Float64Attribute{MarkdownDescription: "A `real`; `3` is one as well as `3.0`.", Optional: true},
			"string":  schema.StringAttribute{MarkdownDescription: "A `string`.", Optional: true},
			"unit":    schema.BoolAttribute{MarkdownDescription: "`true` stands for `unit`, the value that is none.", Optional: true},
			"file": schema.StringAttribute{
				MarkdownDescription: "A `File` by its path below `/data`. For Brane 1 and newer, the path as a string.",
				Optional:            true,
				Validators:          []validator.String{localPath()},
			},
			"directory": schema.StringAttribute{
				MarkdownDescription: "A `Directory` by its path below `/data`. For Brane 1 and newer, the path as a string.",
				Optional:            true,
				Validators:          []validator.String{localPath()},
			},
			"booleans": schema.ListAttribute{MarkdownDescription: "A `boolean[]`.", ElementType: types.BoolType, Optional: true},
			"integers": schema.ListAttribute{MarkdownDescription: "An `integer[]`.", ElementType: types.Int64Type, Optional: true},
			"reals":    schema.ListAttribute{MarkdownDescription: "A `real[]`.", ElementType: types.Float64Type, Optional: true},
			"strings":  schema.ListAttribute{MarkdownDescription: "A `string[]`.", ElementType: types.StringType, Optional: true},
			"files": schema.ListAttribute{
				MarkdownDescription: "A `File[]` by the paths below `/data`.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.List{listvalidator.ValueStringsAre(localPath())},
			},
			"step": schema.StringAttribute{
				MarkdownDescription: "The result of another step that calls a function. This step then waits for that one, as if it were among its `needs`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
		}},
	}
}

// packageVersion is a version of Brane whose packages can be called.
func packageVersion() validator.String {
	return textRule{description: "a version of Brane", problems: func(text string) []string {
		if _, err := branelet.ParseVersion(text); err != nil {
			return []string{"write 0.4, 0.5, 0.6, 1, 2, 3, 4, or a release of one of them like 0.6.3"}
		}
		return nil
	}}
}
