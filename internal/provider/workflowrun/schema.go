package workflowrun

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/inputs"
)

// What follows a change of an attribute of a run, as the last sentence of the attribute's description. [actionAttributes] leaves it out: an action has no
// changes.
const (
	replacesRun = " Changing this replaces the run: all steps run again."
	runsAll     = " Changing this runs all steps again."
	runsStep    = " Changing this runs the step again."
	runsIndexes = " A change runs only the indexes that are new or have another item."
	runsReaders = " A change runs the steps again that may see the input (see `reads`)."
	runsNothing = " Changing this does not run anything again."
)

func (r *workflowRunResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = resourceSchema(ctx)
	attribute.FixTypes(resp.Schema.Attributes)
}

// resourceSchema returns the schema of the resource, from which that of the action is made.
func resourceSchema(ctx context.Context) schema.Schema {
	return schema.Schema{
		MarkdownDescription: "Runs a graph of containers, each step as a Kubernetes Job, and runs again what a change of its steps or inputs affects. " +
			"With `namespace`, the provider submits the Jobs with its own credentials, and no Brane instance is needed; with `infrastructure`, with those that are registered for it.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "Name of the run and a digest of its name and place, which are the API server and the namespace. It stays the same as long as the resource exists. All objects of the run have the label `brane/run=<id>`; its Redis keys begin with `brane:<id>:`.",
				Computed:            true,
			},
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the run: a DNS label of at most 40 characters. Two runs in the same namespace of a cluster must have different names." + replacesRun,
				Required:            true,
				Validators:          []validator.String{attribute.RunName()},
			},
			"infrastructure": infrastructureSchema(),
			"namespace":      namespaceSchema(),
			"submit_with":    submitWithSchema(),
			"cluster":        submitClusterSchema(),
			"labels":         labelsAttribute("Labels of all Jobs and pods of the run, also of the engine. Those of `defaults` and of steps take precedence."),
			"annotations":    annotationsAttribute("Annotations of all Jobs and pods of the run, also of the engine. Those of `defaults` and of steps take precedence."),
			"pod_patch": podPatchAttribute("Strategic merge patch over the finished pod templates of all steps, as JSON or YAML, for whatever has no attribute. Its fields are `metadata` and `spec`, as below `spec.template` of a Job, " +
				"for example `yamlencode({ spec = { enableServiceLinks = false } })`. It is validated during plan. The patch of `defaults` is applied after it, then that of a step. " +
				"The init container of the agent, `stage`, is ignored where the agent is mounted as an image volume (see `agent_injection`). See [What has no attribute](../guides/scheduling.md#what-has-no-attribute)." + runsAll),
			"steps":                 stepsSchema(),
			"defaults":              defaultsSchema(),
			"engine":                engineSchema(),
			"secret_env_wo":         secretEnvSchema(mapvalidator.AlsoRequires(path.MatchRoot("secret_env_wo_version"))),
			"secret_env_wo_version": secretEnvVersionSchema(),
			"inputs":                inputsSchema(),
			"outputs":               outputsSchema(),
			"parallelism": schema.Int64Attribute{
				MarkdownDescription: "Maximum number of steps that run concurrently. Defaults to no limit." + runsNothing,
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
			"images": schema.MapAttribute{
				MarkdownDescription: "Pinned images of the steps that have no `command`, by step. The image tag is resolved to a digest when Terraform plans. If the tag has moved to another digest, the step runs again. " +
					"If the registry cannot be reached, the plan keeps the known digest.",
				ElementType: types.StringType,
				Computed:    true,
			},
			"startup_timeout": schema.StringAttribute{
				MarkdownDescription: "How long Kubernetes may fail to create a pod or to start its container before the step fails, for example because of `ErrImagePull`, a missing Secret or ServiceAccount, or an admission rejection. " +
					"A pull that is in progress is not limited. If a pull fails, the time counts from the first failure, also while Kubernetes pulls again. Defaults to `35s`." + runsNothing,
				CustomType: timetypes.GoDurationType{},
				Optional:   true,
				Validators: []validator.String{attribute.DurationAtLeast(time.Second, "a second")},
			},
			"scheduling_timeout": schema.StringAttribute{
				MarkdownDescription: "How long a pod may stay unschedulable, or wait for quota, for a volume or for the network of its node, before the step fails. " +
					"The time does not count while other pods of the run are running, because they may hold what the pod waits for. Set this longer than your cluster autoscaler needs to add a node. Defaults to `5m`." + runsNothing,
				CustomType: timetypes.GoDurationType{},
				Optional:   true,
				Validators: []validator.String{attribute.DurationAtLeast(time.Second, "a second")},
			},
			"triggers": schema.MapAttribute{
				MarkdownDescription: "Arbitrary values, for example a version. See also `triggers` of a step." + runsAll,
				ElementType:         types.StringType,
				Optional:            true,
			},
			"retention": schema.StringAttribute{
				MarkdownDescription: "How long the files of the steps stay in Redis, counted from the start of an execution, for example `72h`. At least `1h`, and at least `timeouts.create` and `timeouts.update`. Outputs stay as long as the resource exists. Defaults to `168h`. " +
					"Each apply that executes the run starts this time again for all results that it uses. A result that was not used within it is deleted, and its step runs again when its files are needed. " +
					"Changing this has an effect on the next execution, and runs nothing again.",
				CustomType: timetypes.GoDurationType{},
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString("168h"),
				Validators: []validator.String{attribute.DurationAtLeast(time.Hour, "an hour")},
			},
			"report_path": schema.StringAttribute{
				MarkdownDescription: "Path of a file, on the machine that runs Terraform, to write a report of the run to when it ends, whether it succeeded or failed. The report is one self-contained HTML page with the graph, a timeline and, for each step, " +
					"its result, the files it wrote and the last lines of its output. Missing directories are created. A deleted report is not reported as drift. " +
					"A run with `wait = false` ends while Terraform is not running: the next apply writes its report (see `report_written_at`), because a plan writes no files. Steps with the results of earlier executions are marked. Changing this writes the report again, but does not run anything again.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"report_written_at": schema.StringAttribute{
				MarkdownDescription: "When the report was written, or could not be (RFC 3339). Null until the run ends. If a run with `wait = false` has ended, the plan shows that apply will write the report.",
				Computed:            true,
			},
			"prewarm": schema.BoolAttribute{
				MarkdownDescription: "Create the Job of each step one step early, so that its pod is scheduled and its image is pulled when the steps in `needs` have completed. " +
					"Until then the pod reserves its `resources` and does nothing. " +
					"The Job is created only after the pods of all dependencies are scheduled (and running, if they mount volumes), and is deleted again if one of them must be rescheduled. " +
					"Not applied to steps with `timeout`, `when`, `package`, `completions` or `items`, nor to steps that depend on one of these or on a step with `allow_failure`. Defaults to `false`." + runsNothing,
				Optional: true,
			},
			"agent_injection": schema.StringAttribute{
				MarkdownDescription: "How Brane's agent gets into each pod. `image_volume` mounts the agent image as an image volume, which uses less CPU on the nodes; it requires Kubernetes 1.35, or 1.31 with the feature gate `ImageVolume`, and containerd 2.1 or CRI-O 1.31 on every Linux node. " +
					"`init_container` copies the agent with an init container, which works on every cluster. `auto` uses an image volume if all Linux nodes support it and the run has its own Redis user (see `redis.acl_users` of the provider). " +
					"To find out, the provider lists the nodes with its own credentials, if they are for the registered API server address, or else with the credentials that submit the Jobs. " +
					"Without permission to list nodes it uses an init container. Defaults to `auto`." + runsNothing,
				Optional:   true,
				Validators: []validator.String{attribute.OneOf(string(workflow.InjectAuto), string(workflow.InjectInitContainer), string(workflow.InjectImageVolume))},
			},
			"wait": schema.BoolAttribute{
				MarkdownDescription: "Whether apply waits for the run to end. With `false` it returns as soon as the inputs are stored. An engine, which is a Job too, then runs the workflow inside the cluster, with the service account " +
					"that submits the Jobs. If that is not a service account of the namespace, for example because the provider's own account submits them, apply creates one with a Role and a RoleBinding for this engine, " +
					"and the engine deletes the RoleBinding at its end. Each refresh reads the state of the run. The pod of the engine needs network access to the API server and to Redis. " +
					"The steps can have about 900 KB of configuration in total, which the plan checks. " +
					"If the run is blocked, a refresh reports the reason as a warning. A failed run, or one whose engine is gone, is reported as drift, and the next apply resumes it. " +
					"After a change to `true`, apply waits for the run in progress. Defaults to `true`." + runsNothing,
				Optional: true,
			},
			"on_interrupt": schema.StringAttribute{
				MarkdownDescription: "What an interrupted apply (Ctrl-C) does with running steps: `stop` stops them, `detach` lets them continue. " +
					"In both cases the next apply resumes the run and completed steps do not run again. A run that apply executes and that exceeds `timeouts` is always stopped. Defaults to `stop`." + runsNothing,
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(stop),
				Validators: []validator.String{attribute.OneOf(stop, detach)},
			},
			"execution_id": schema.StringAttribute{
				MarkdownDescription: "Random ID of the latest execution of the run. Prevents a destroy from deleting a newer run with the same `id`.",
				Computed:            true,
			},
			"status": schema.StringAttribute{
				MarkdownDescription: "`succeeded`, `failed` (a step failed), `stopped` (interrupted, timed out, or unable to continue) or `running` (with `wait = false`, or after an apply that left its steps running: interrupted with `on_interrupt = \"detach\"`, or ended by an outage). " +
					"The next apply continues a run that did not succeed: completed steps do not run again, unless a change affects them. To start from scratch, use `-replace`.",
				Computed: true,
			},
			"started_at": schema.StringAttribute{
				MarkdownDescription: "When the first command of the latest execution started (RFC 3339).",
				Computed:            true,
			},
			"finished_at": schema.StringAttribute{
				MarkdownDescription: "When the last command of the latest execution ended (RFC 3339).",
				Computed:            true,
			},
			"duration": schema.StringAttribute{
				MarkdownDescription: "Time from the start of the first command to the end of the last one, for example `1m2.5s`.",
				Computed:            true,
			},
			"results": resultsSchema(),
			"outputs_digest": schema.StringAttribute{
				MarkdownDescription: "Digest of the stored outputs.",
				Computed:            true,
			},
			"drift":    attribute.NewDrift("The next apply continues a run that failed or was lost, and reads lost outputs again. The plan shows which steps run for that."),
			"timeouts": attribute.NewTimeouts(ctx, runTimeout),
		},
	}
}

func inputsSchema() schema.Attribute {
	sources := inputs.NewSources("content", "source", "file_set")
	sources.MarkdownDescription = "Input files, by their paths below `/data`. Each has exactly one of `content`, `source` and `file_set`." + runsReaders
	sources.NestedObject.Attributes["file_set"] = schema.StringAttribute{
		MarkdownDescription: "The `reference` of a `brane_file_set`, whose files appear in a directory at this path. Redis copies them into the run.",
		Optional:            true,
		Validators:          []validator.String{inputs.FileSetReference()},
	}
	return sources
}

func outputsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Output files, by names of your choice. They stay in Redis as long as the resource exists. " +
			"A file that does not exist is an error, unless a fan-out step that may write it (see `writes`) has no items: then `size`, `sha256` and `content` are null." + runsNothing,
		Optional: true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"path": schema.StringAttribute{
				MarkdownDescription: "Path of the file below `/data`.",
				Required:            true,
				Validators:          []validator.String{inputs.RelativePath()},
			},
			"size": schema.Int64Attribute{
				MarkdownDescription: "Size in bytes.",
				Computed:            true,
			},
			"sha256": schema.StringAttribute{
				MarkdownDescription: "SHA-256 digest of the content, in hexadecimal.",
				Computed:            true,
			},
			"content": schema.StringAttribute{
				MarkdownDescription: "Content of the file, if it is UTF-8 text of at most 64 KiB; null otherwise.",
				Computed:            true,
			},
		}},
	}
}

func resultsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Results of the steps, by step. In a plan, the result of a step that may run is `(known after apply)`. All values of a step that has not ended are null.",
		Computed:            true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"status": schema.StringAttribute{
				MarkdownDescription: "`succeeded`, `failed`, `stopped` (was running when the run ended: another step failed, apply was interrupted or timed out) or `skipped` (was not started).",
				Computed:            true,
			},
			"exit_code": schema.Int64Attribute{
				MarkdownDescription: "Exit code of the command. Null if the step did not run, was stopped, or failed before an exit code was known, for example because its pod could not be scheduled. The codes 201 to 205 are those of Brane's agent (see the guide on the [Redis data format](../guides/format.md#exit-codes)).",
				Computed:            true,
			},
			"started_at": schema.StringAttribute{
				MarkdownDescription: "When the last attempt of the command started (RFC 3339). For a failed step it is the node's time, in whole seconds.",
				Computed:            true,
			},
			"finished_at": schema.StringAttribute{
				MarkdownDescription: "When the command ended (RFC 3339).",
				Computed:            true,
			},
			"duration": schema.StringAttribute{
				MarkdownDescription: "How long the command ran, for example `2.5s`.",
				Computed:            true,
			},
			"attempts": schema.Int64Attribute{
				MarkdownDescription: "How often the command was started for this result: once, and again for each of `retries`, for each pod that was replaced, and for each apply that continued a failed run. For a fan-out step: the highest attempt count of any index.",
				Computed:            true,
			},
			"digest": schema.StringAttribute{
				MarkdownDescription: "Digest of the stored files of the step.",
				Computed:            true,
			},
			"fingerprint": schema.StringAttribute{
				MarkdownDescription: "Digests of what has decided the result: the configuration of the step, and after the hyphen what it saw. A step with a stored result of the same fingerprint does not run again. Null if the step was not started.",
				Computed:            true,
			},
			"return_type": schema.StringAttribute{
				MarkdownDescription: "Type of the value that the called package function returned, for example `integer`, `string[]`, `File` or the name of a class. Null if the step calls no function.",
				Computed:            true,
			},
			"return_value": schema.StringAttribute{
				MarkdownDescription: "The returned value as JSON, at most 1 MiB; decode it with `jsondecode`. 64-bit integers, reals and strings are exact. A `File` or `Directory` is its path below `/data`, " +
					"an instance of a class is an object, and `unit` is `null`.",
				Computed: true,
			},
		}},
	}
}
