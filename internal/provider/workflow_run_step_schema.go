package provider

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// maxCount keeps numbers in the range of the API's.
const maxCount = 1_000_000

// onSuccess is the name of the condition that steps have where they name none.
const onSuccess = "success"

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
			MarkdownDescription: "Names of the steps that must have ended well before this one starts (see `when`). Their files are there at `/data`.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"completions": schema.Int64Attribute{
			MarkdownDescription: "Makes the step many: so many containers of one Indexed Job, each of which finds its number, from 0, in `BRANE_INDEX`. Each commits its files for itself; " +
				"all of them together are the step's. Two that leave different content at one path are an error that names both.",
			Optional:   true,
			Validators: []validator.Int64{int64validator.AtLeast(1), int64validator.ConflictsWith(path.MatchRelative().AtParent().AtName("items"))},
		},
		"items": schema.ListAttribute{
			MarkdownDescription: "As `completions`, one for each of these texts, which the container finds in `BRANE_ITEM`.",
			ElementType:         types.StringType,
			Optional:            true,
			Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
		},
		"parallelism": schema.Int64Attribute{
			MarkdownDescription: "With `completions` or `items`: how many of the containers run at once, at most. Default: as many as there is room for.",
			Optional:            true,
			Validators:          []validator.Int64{int64validator.Between(1, maxCount)},
		},
		"max_failed_indexes": schema.Int64Attribute{
			MarkdownDescription: "With `completions` or `items`: how many of the containers may fail, their `retries` used up, before the others are stopped. The step has failed all the same, " +
				"but the next apply has only those to do that have no commit. Default: 0.",
			Optional:   true,
			Validators: []validator.Int64{int64validator.Between(0, maxCount)},
		},
		"when": schema.StringAttribute{
			MarkdownDescription: "After which outcome of the steps that it needs the step runs: `success` (default) when all of them have ended well and nothing else of the run has failed, " +
				"`failure` when all of them are over and one has not ended well, `always` when all of them are over. In the place of the files of a step that left none it finds those with which that one began.",
			Optional:   true,
			Validators: []validator.String{stringvalidator.OneOf(onSuccess, string(workflow.OnFailure), string(workflow.Always))},
		},
		"allow_failure": schema.BoolAttribute{
			MarkdownDescription: "Whether the run goes on when this step fails, and can succeed all the same; its failure is a warning then. It stands, as what follows has begun because of it: an apply that goes on with the run does not try the step again. Steps that need it run as their `when` says. Default: `false`.",
			Optional:            true,
		},
		"reads": patternsAttribute("Which of the files the step finds at `/data`, as patterns of paths, for example `[\"corpus/**\"]`: `*` stands for any part of a name, `**` for any number of folders, " +
			"and a folder for all that is in it. Steps that need this one see the other files all the same. Default: all."),
		"writes": patternsAttribute("Which files the step may make, change or remove, as patterns of paths. What it does elsewhere is not stored. Default: all."),
	})
	maps.Copy(attributes, packageAttributes())
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
		MarkdownDescription: "What holds for every step that says nothing else. Of maps (`env`, `env_from_secret`, `node_selector`, `volumes`, `resources.requests`, `resources.limits`) a step gets the entries of both, " +
			"its own where both have one, and of `security_context` the attributes of both. Everything else it says stands in the place of the default.",
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
