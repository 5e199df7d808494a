package provider

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

func stepsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "The steps by their names: DNS labels of at most 40 characters.",
		Required:            true,
		Validators:          []validator.Map{mapvalidator.SizeAtLeast(1)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"image": schema.StringAttribute{
				MarkdownDescription: "The container's image. The cluster's nodes pull it.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"command": schema.ListAttribute{
				MarkdownDescription: "The program and its arguments. The image's own entry point is not used.",
				ElementType:         types.StringType,
				Required:            true,
				Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
			},
			"args": schema.ListAttribute{
				MarkdownDescription: "Further arguments.",
				ElementType:         types.StringType,
				Optional:            true,
			},
			"env": schema.MapAttribute{
				MarkdownDescription: "Environment variables. They stand in the Job for everybody who may read it: they are no place for secrets.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators: []validator.Map{mapvalidator.KeysAre(
					textRule{description: "a name of an environment variable", problems: validation.IsRelaxedEnvVarName}, // Kubernetes' own rule
				)},
			},
			"working_dir": schema.StringAttribute{
				MarkdownDescription: "Folder in which the program starts, an absolute path. Default: the image's.",
				Optional:            true,
				Validators:          []validator.String{absolutePath()},
			},
			"needs": schema.SetAttribute{
				MarkdownDescription: "Names of the steps that must have ended well before this one starts. Their files are there at `/data`.",
				ElementType:         types.StringType,
				Optional:            true,
			},
			"timeout": schema.StringAttribute{
				MarkdownDescription: "How long the step may take, its start included, for example `10m`. Default: as long as the run.",
				CustomType:          timetypes.GoDurationType{},
				Optional:            true,
				Validators:          []validator.String{durationOf("at least a second", atLeastASecond)},
			},
			"run_as_user": schema.Int64Attribute{
				MarkdownDescription: "Id of the user as whom the program runs and to whom the files at `/data` belong. Needed for images that do not run as root.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
		}},
	}
}

// absolutePath is a path in a container, which runs Linux whatever Terraform runs on.
func absolutePath() validator.String {
	return textRule{description: "a folder of the container", problems: func(name string) []string {
		if !strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) {
			return []string{"must be an absolute path"}
		}
		return nil
	}}
}
