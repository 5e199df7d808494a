package workflowrun

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
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/inputs"
)

// besidePackage is the attribute that all other attributes of a call require.
var besidePackage = path.MatchRelative().AtParent().AtName("package")

// packageAttributes returns the attributes of a step that calls a function of a Brane package.
func packageAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"package": schema.StringAttribute{
			MarkdownDescription: "Brane package to call instead of a command, as `name:version`. The image is `<registry>/library/<name>:<version>` from the registry of the infrastructure, unless `image` is set. " +
				"The step runs like any other: unprivileged, with the files of the run at `/data`. Requires `function`; conflicts with `command` and `args`." + runsStep,
			Optional: true,
			Validators: []validator.String{packageReference(), stringvalidator.ConflictsWith(
				path.MatchRelative().AtParent().AtName("command"), path.MatchRelative().AtParent().AtName("args"),
			)},
		},
		"function": schema.StringAttribute{
			MarkdownDescription: "Function of the package to call. Required with `package`." + runsStep,
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.AlsoRequires(besidePackage)},
		},
		"arguments": argumentsSchema(),
		"kind": schema.StringAttribute{
			MarkdownDescription: "How the package runs its functions: `ecu` (executes code; called `code` in Brane 0.4) or `oas` (calls a web API). Defaults to the kind in `package_file`, or else to `ecu`." + runsStep,
			Optional:            true,
			Validators:          []validator.String{attribute.OneOf(string(branelet.ECU), string(branelet.Code), string(branelet.OAS)), stringvalidator.AlsoRequires(besidePackage)},
		},
		"brane_version": schema.StringAttribute{
			MarkdownDescription: "Version of Brane that the package was built with: `0.4`, `0.5`, `0.6`, `1`, `2`, `3`, `4`, or a release of one of them such as `0.6.3`. It determines how arguments and results are encoded. " +
				"Defaults to `control_plane.brane_version` of the provider." + runsStep,
			Optional:   true,
			Validators: []validator.String{packageVersion(), stringvalidator.AlsoRequires(besidePackage)},
		},
		"package_file": schema.StringAttribute{
			MarkdownDescription: "Path of the `package.yml` or `container.yml` of the package on the machine that runs Terraform. If set, functions, arguments and their types are checked during plan.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.AlsoRequires(besidePackage)},
		},
	}
}

// argumentsSchema returns a schema in which each argument names its type: Terraform has one type for all numbers, and none for files.
func argumentsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Arguments of the function, by name. Each has exactly one attribute: its value, by type, for example `{ integer = 3 }`, `{ file = \"corpus/alice.txt\" }` or `{ step = \"count\" }`. " +
			fmt.Sprintf("They are stored in plaintext in the Job, so do not pass secrets. Their total size is limited to about %d KiB; pass larger values as files.", branelet.MaxArguments*3/4>>10) + runsStep,
		Optional:   true,
		Validators: []validator.Map{mapvalidator.AlsoRequires(besidePackage)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"boolean": schema.BoolAttribute{MarkdownDescription: "A `boolean`.", Optional: true},
			"integer": schema.Int64Attribute{MarkdownDescription: "A 64-bit `integer`.", Optional: true},
			"real":    schema.Float64Attribute{MarkdownDescription: "A `real`, for example `3` or `3.5`.", Optional: true},
			"string":  schema.StringAttribute{MarkdownDescription: "A `string`.", Optional: true},
			"unit":    schema.BoolAttribute{MarkdownDescription: "Set to `true` to pass Brane's `unit` (empty) value.", Optional: true},
			"file": schema.StringAttribute{
				MarkdownDescription: "Path below `/data` of a file, passed as a `File`. For Brane 1 and newer, the path is passed as a string.",
				Optional:            true,
				Validators:          []validator.String{inputs.RelativePath()},
			},
			"directory": schema.StringAttribute{
				MarkdownDescription: "Path below `/data` of a directory, passed as a `Directory`. For Brane 1 and newer, the path is passed as a string.",
				Optional:            true,
				Validators:          []validator.String{inputs.RelativePath()},
			},
			"booleans": schema.ListAttribute{MarkdownDescription: "A `boolean[]`.", ElementType: types.BoolType, Optional: true},
			"integers": schema.ListAttribute{MarkdownDescription: "An `integer[]`.", ElementType: types.Int64Type, Optional: true},
			"reals":    schema.ListAttribute{MarkdownDescription: "A `real[]`.", ElementType: types.Float64Type, Optional: true},
			"strings":  schema.ListAttribute{MarkdownDescription: "A `string[]`.", ElementType: types.StringType, Optional: true},
			"files": schema.ListAttribute{
				MarkdownDescription: "Paths below `/data` of files, passed as a `File[]`.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.List{listvalidator.ValueStringsAre(inputs.RelativePath())},
			},
			"step": schema.StringAttribute{
				MarkdownDescription: "Name of another step that calls a function, to pass its result. The other step is added to `needs`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
		}},
	}
}

// packageVersion validates a version of Brane whose packages can be called.
func packageVersion() validator.String {
	return attribute.NewStringRule("Brane version", func(text string) []string {
		if _, err := branelet.ParseVersion(text); err != nil {
			return []string{"write 0.4, 0.5, 0.6, 1, 2, 3, 4, or a release of one of them like 0.6.3"}
		}
		return nil
	})
}
