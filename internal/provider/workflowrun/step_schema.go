package workflowrun

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// maxCount keeps numbers within the range of the Kubernetes API.
const maxCount = 1_000_000

// onSuccess is the default of when.
const onSuccess = "success"

// stepsSchema returns the schema of the steps: their place in the graph, their command, and their pod.
func stepsSchema() schema.Attribute {
	attributes := podAttributes()
	maps.Copy(attributes, map[string]schema.Attribute{
		"command": schema.ListAttribute{
			MarkdownDescription: "Command of the container and its first arguments, instead of the image's entry point. Defaults to the entry point and arguments of the image, which the provider reads from the registry " +
				"with the credentials of docker or podman on the machine that runs Terraform. The image is then pinned by its digest (see `images`)." + runsStep,
			ElementType: types.StringType,
			Optional:    true,
			Validators:  []validator.List{listvalidator.SizeAtLeast(1)},
		},
		"args": schema.ListAttribute{
			MarkdownDescription: "Additional arguments. Without `command`, they replace the arguments of the image." + runsStep,
			ElementType:         types.StringType,
			Optional:            true,
		},
		"needs": schema.SetAttribute{
			MarkdownDescription: "Names of the steps that must have succeeded before this one starts (see `when`). Their output files are at `/data`. A change runs the step again if it sees other files then.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"completions": schema.Int64Attribute{
			MarkdownDescription: "Number of indexes of a fan-out step, which runs as one Indexed Job; at most 10,000. Each index gets its number, starting at 0, in `BRANE_INDEX`. " +
				"The output files of all indexes are merged; if two indexes write different content to the same path, the step fails with an error that names both. " +
				"With `0` the step succeeds without running, and passes on the files of the steps in `needs`. Conflicts with `items`." + runsIndexes,
			Optional:   true,
			Validators: []validator.Int64{int64validator.AtLeast(0), int64validator.ConflictsWith(path.MatchRelative().AtParent().AtName("items"))},
		},
		"items": schema.ListAttribute{
			MarkdownDescription: "Run one copy of the step per element. Each copy gets its element in `BRANE_ITEM` and its index in `BRANE_INDEX`. " +
				"The items are stored in Redis; each has at most 128 KiB. " +
				"With an empty list the step succeeds without running, and passes on the files of the steps in `needs`. Conflicts with `completions`." + runsIndexes,
			ElementType: types.StringType,
			Optional:    true,
		},
		"parallelism": schema.Int64Attribute{
			MarkdownDescription: "Maximum number of copies of a fan-out step that run concurrently. The pods of the others are created when earlier ones have ended. Defaults to `100`." + runsNothing,
			Optional:            true,
			Validators:          []validator.Int64{int64validator.Between(1, maxCount)},
		},
		"max_failed_indexes": schema.Int64Attribute{
			MarkdownDescription: "How many indexes of a fan-out step may exhaust their `retries` before the remaining ones are stopped. The step still fails, " +
				"but the next apply runs only the indexes that have not completed. Defaults to `0`." + runsNothing,
			Optional:   true,
			Validators: []validator.Int64{int64validator.Between(0, maxCount)},
		},
		"when": schema.StringAttribute{
			MarkdownDescription: "When the step runs: `success` when all steps in `needs` have succeeded and no other step has failed, " +
				"`failure` when all of them have ended and one did not succeed, `always` when all of them have ended. " +
				"If a dependency failed and stored no files, this step sees the files that dependency started with. Defaults to `success`." + runsNothing,
			Optional:   true,
			Validators: []validator.String{attribute.OneOf(onSuccess, string(workflow.OnFailure), string(workflow.Always))},
		},
		"allow_failure": schema.BoolAttribute{
			MarkdownDescription: "Whether the run continues, and can succeed, if this step fails. The failure is reported as a warning. It is final: because later steps may already have run on it, resuming the run does not retry this step. Steps that need it run as their `when` specifies. Defaults to `false`." + runsNothing,
			Optional:            true,
		},
		"reads": patternsAttribute("Files that the step sees at `/data`, as path patterns, for example `[\"corpus/**\"]`. `*` matches any part of a name, `**` any number of directories, " +
			"and a directory everything below it. Steps that need this one still see the other files. Defaults to all files." + runsStep),
		"triggers": schema.MapAttribute{
			MarkdownDescription: "Arbitrary values, for example the version of a service that the command uses. Changing this runs the step again, and the steps that see other files because of it.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"cache": schema.BoolAttribute{
			MarkdownDescription: "Whether the stored result of the step is used again. With `false` the step runs in every apply that executes the run, for example to deploy or to notify, but no plan is made only because of it. " +
				"Changing this to `true` runs the step again. Defaults to `true`.",
			Optional: true,
		},
		"writes": patternsAttribute("Files that the step may create, change or remove, as path patterns. Changes to other files are not stored. Defaults to all files." + runsStep),
	})
	maps.Copy(attributes, packageAttributes())
	return schema.MapNestedAttribute{
		MarkdownDescription: "Steps of the run, by name: a DNS label of at most 40 characters. A change runs only the changed steps again, and those that see other files because of it: see the guide [What runs again](../guides/what-runs-again.md).",
		Required:            true,
		Validators:          []validator.Map{mapvalidator.SizeAtLeast(1)},
		NestedObject:        schema.NestedAttributeObject{Attributes: attributes},
	}
}

// defaultsSchema returns the schema of the default values of all steps.
func defaultsSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Default values for all steps. Map attributes (`env`, `env_from_secret`, `labels`, `annotations`, `node_selector`, `volumes`, `resource_claims`, `resources.requests`, `resources.limits`) and `security_context` are merged, with the step's value taking precedence. " +
			"`pod_patch` of a step is applied after the default. Any other attribute set on a step overrides the default. Changing a default has the same effect as changing the attribute of each step that uses it.",
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
