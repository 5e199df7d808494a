package provider

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// stepsSchema is what a step is: its place in the graph, its program, and its pod.
func stepsSchema() schema.Attribute {
	attributes := podAttributes()
	maps.Copy(attributes, map[string]schema.Attribute{
		"command": schema.ListAttribute{
			MarkdownDescription: "The program and its first arguments. The image's own entry point is not used then. Default: the image's entry point and arguments, as its registry tells them to the machine on which " +
				"Terraform runs (with the credentials that docker and podman keep there); the image is pinned by its digest then, see `images`.",
			ElementType: types.StringType,
			Optional:    true,
			Validators:  []validator.List{listvalidator.SizeAtLeast(1)},
		},
		"args": schema.ListAttribute{
			MarkdownDescription: "Further arguments. Where there is no `command`, they take the place of the image's own.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"needs": schema.SetAttribute{
			MarkdownDescription: "Names of the steps that must have ended well before this one starts. Their files are there at `/data`.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"reads": patternsAttribute("Which of the files the step finds at `/data`, as patterns of paths, for example `[\"corpus/**\"]`: `*` stands for any part of a name, `**` for any number of folders, " +
			"and a folder for all that is in it. Steps that need this one see the other files all the same. Default: all."),
		"writes": patternsAttribute("Which files the step may make, change or remove, as patterns of paths. What it does elsewhere is not stored. Default: all."),
	})
	return schema.MapNestedAttribute{
		MarkdownDescription: "The steps by their names: DNS labels of at most 40 characters.",
		Required:            true,
		Validators:          []validator.Map{mapvalidator.SizeAtLeast(1)},
		NestedObject:        schema.NestedAttributeObject{Attributes: attributes},
	}
}

// defaultsSchema is what holds for every step that says nothing else.
func defaultsSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "What holds for every step that says nothing else. Of maps (`env`, `env_from_secret`, `env_wo`, `node_selector`, `volumes`, `resources.requests`, `resources.limits`) a step gets the entries of both, " +
			"its own where both have one, and of `security` the attributes of both. Everything else it says stands in the place of the default.",
		Optional:   true,
		Attributes: podAttributes(),
	}
}

func patternsAttribute(description string) schema.Attribute {
	return schema.ListAttribute{
		MarkdownDescription: description,
		ElementType:         types.StringType,
		Optional:            true,
		Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
	}
}
