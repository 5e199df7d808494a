package provider

import (
	"context"
	"fmt"
	"maps"
	slash "path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

func (r *workflowRunResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "One execution of a graph of containers. Each step is a Job, submitted with the credential that is registered for the infrastructure (see `submit_with`). " +
			"A step sees at `/data` the inputs and everything that the steps it needs have left there; what it leaves there itself is stored in Redis at once when it ends well, or not at all. " +
			"The resource is the record of the run: Jobs that are cleaned up later are no drift, outputs that are lost or changed in Redis are. Each refresh asks for the sizes of all and reads the smallest, up to 4 MiB of them; that a larger one was changed and has the same size is found when it is read. " +
			"Other inputs, steps or triggers make another run.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "The run's name and a digest of its inputs, steps and triggers. The run's objects are labelled `brane/run=<id>`, its Redis keys begin with `brane:<id>:`.",
				Computed:            true,
			},
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the run: a DNS label of at most 40 characters. Two runs in one namespace need two names.",
				Required:            true,
				Validators:          []validator.String{runName()},
			},
			"infrastructure": schema.StringAttribute{
				MarkdownDescription: "Name of the `brane_infrastructure` on which it runs.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"submit_with": submitWithSchema(),
			"cluster":     submitClusterSchema(),
			"namespace": schema.StringAttribute{
				MarkdownDescription: "The infrastructure's namespace, in which the Jobs are.",
				Computed:            true,
			},
			"steps":                 stepsSchema(),
			"defaults":              defaultsSchema(),
			"secret_env_wo":         secretEnvSchema(mapvalidator.AlsoRequires(path.MatchRoot("secret_env_wo_version"))),
			"secret_env_wo_version": secretEnvVersionSchema(),
			"inputs":                inputsSchema(),
			"outputs":               outputsSchema(),
			"parallelism": schema.Int64Attribute{
				MarkdownDescription: "How many steps run at once, at most. It makes no other run. Default: as many as can.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
			"images": schema.MapAttribute{
				MarkdownDescription: "Of each step without `command`: its image with the digest for which its tag stands. It is looked up when Terraform plans; where the tag stands for another digest by then, a new run is planned. " +
					"A plan that cannot reach the registry keeps what is known.",
				ElementType: types.StringType,
				Computed:    true,
			},
			"startup_timeout": schema.StringAttribute{
				MarkdownDescription: "How long a step may have no pod, or its container be unable to start, because of an image, a Secret, a volume, a class or an account that is missing or not allowed, before it has failed. Default: `35s`.",
				CustomType:          timetypes.GoDurationType{},
				Optional:            true,
				Validators:          []validator.String{durationAtLeast(time.Second, "a second")},
			},
			"scheduling_timeout": schema.StringAttribute{
				MarkdownDescription: "How long a pod may find no node, or a quota or a volume that others have used up, before its step has failed: as long as an autoscaler needs to bring a node. Default: `5m`.",
				CustomType:          timetypes.GoDurationType{},
				Optional:            true,
				Validators:          []validator.String{durationAtLeast(time.Second, "a second")},
			},
			"triggers": schema.MapAttribute{
				MarkdownDescription: "Any values; where one changes, a new run follows.",
				ElementType:         types.StringType,
				Optional:            true,
			},
			"retention": schema.StringAttribute{
				MarkdownDescription: "How long the run's files stay in Redis, counted from its beginning, for example `72h`. Outputs stay as long as the resource. Default: `168h`.",
				CustomType:          timetypes.GoDurationType{},
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString("168h"),
				Validators:          []validator.String{durationAtLeast(time.Hour, "an hour")},
			},
			"report_path": schema.StringAttribute{
				MarkdownDescription: "Path of a file on this machine into which a report of the run is written when it has ended, also when it has failed: one HTML page with the graph, a timeline, " +
					"and of each step how it ended, what it wrote and the last of its output. The page loads nothing from elsewhere. A file that is removed later is no drift. " +
					"A run with `wait = false` ends while Terraform is not there: its report is written by the next apply (see `report_written_at`), as a plan writes no files.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"report_written_at": schema.StringAttribute{
				MarkdownDescription: "When the report was written, or could not be (RFC 3339). Null as long as the run goes on. Where a run with `wait = false` has ended, the plan shows that apply writes it.",
				Computed:            true,
			},
			"prewarm": schema.BoolAttribute{
				MarkdownDescription: "Make each step's Job one step early: its pod is there, with its image, when the steps that it needs have ended, and begins at once. " +
					"Until then it holds the `resources` that it asks for and does nothing. It is never made before the pods of all that it needs have got their nodes " +
					"(and run, where they mount volumes of the cluster), and is taken back when one of these needs another place. " +
					"Left out are steps with a `timeout`, with `when`, calls of packages, steps that are many, and what follows such a one or a step with `allow_failure`. It makes no other run. Default: `false`.",
				Optional: true,
			},
			"agent_injection": schema.StringAttribute{
				MarkdownDescription: "How Brane's agent gets into each pod. `image_volume` mounts the agent image as an image volume, which uses less CPU on the nodes; it requires Kubernetes 1.35 and containerd 2.1 or CRI-O 1.31 on every Linux node. " +
					"`init_container` copies the agent with an init container, which works on every cluster. `auto` uses an image volume if all Linux nodes support it and the run has its own Redis user (see `redis.acl_users` of the provider). " +
					"To find out, the provider lists the nodes with its own credentials, if they are for the registered API server address, or else with the credentials that submit the Jobs. " +
					"Without permission to list nodes it uses an init container. Defaults to `auto`. Changing this does not run anything again.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.OneOf(string(workflow.InjectAuto), string(workflow.InjectInitContainer), string(workflow.InjectImageVolume))},
			},
			"wait": schema.BoolAttribute{
				MarkdownDescription: "Whether apply waits for the end of the run. With `false` it returns as soon as the inputs are stored: the run is carried on inside the cluster, by a Job with the account " +
					"that is registered for the infrastructure (a service account of its namespace, with `access = \"run\"`), and each refresh tells how it stands. Its pod must reach the API server and Redis. " +
					"What holds it up is a warning of the refresh. A run that is found to have failed, or whose engine is lost, is drift, and the next apply goes on with it. Changed to `true`, apply waits for the run that goes on; the change itself makes no other run. Default: `true`.",
				Optional: true,
			},
			"on_interrupt": schema.StringAttribute{
				MarkdownDescription: "What an interrupted apply does (Ctrl-C): `stop` ends the steps that run, `detach` lets them run on. " +
					"Either way the next apply goes on from what is done. A run that has used up `timeouts` is always stopped. Default: `stop`.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(stop),
				Validators: []validator.String{stringvalidator.OneOf(stop, detach)},
			},
			"execution_id": schema.StringAttribute{
				MarkdownDescription: "Random; tells this record of the run from later ones with the same `id`, which it must not destroy.",
				Computed:            true,
			},
			"status": schema.StringAttribute{
				MarkdownDescription: "`succeeded`, `failed`, `stopped` where the run could not be carried to its end, or `running` where an interrupted apply has let its steps run on. " +
					"Terraform replaces a run that has not succeeded; that is, it goes on with it: no step that is done is done again. To begin anew, destroy it, or change a value in `triggers`.",
				Computed: true,
			},
			"started_at": schema.StringAttribute{
				MarkdownDescription: "When the first program started (RFC 3339).",
				Computed:            true,
			},
			"finished_at": schema.StringAttribute{
				MarkdownDescription: "When the last program ended (RFC 3339).",
				Computed:            true,
			},
			"duration": schema.StringAttribute{
				MarkdownDescription: "How long it took from the first program's start to the last one's end, for example `1m2.5s`.",
				Computed:            true,
			},
			"results": resultsSchema(),
			"outputs_digest": schema.StringAttribute{
				MarkdownDescription: "Digest of the outputs as they are kept in Redis.",
				Computed:            true,
			},
			"drift":    driftAttribute("The next apply replaces the run.", listplanmodifier.RequiresReplaceIf(anyDrift, "Lost outputs can only be made again.", "Lost outputs can only be made again.")),
			"timeouts": timeoutsAttribute(ctx, runTimeout),
		},
	}
}

func inputsSchema() schema.Attribute {
	inputs := sourcesSchema("content", "source", "file_set")
	inputs.MarkdownDescription = "Files that the steps find at `/data`, by their paths there. Each has either `content`, `source` or `file_set`."
	inputs.NestedObject.Attributes["file_set"] = schema.StringAttribute{
		MarkdownDescription: "The `reference` of a `brane_file_set`, whose files the steps then find in a folder of this path. The run gets a copy of its own, which Redis makes by itself.",
		Optional:            true,
		Validators:          []validator.String{fileSetReference()},
	}
	return inputs
}

// sourcesSchema are files by their paths; of the named attributes each has exactly one.
func sourcesSchema(either ...string) schema.MapNestedAttribute {
	var others []path.Expression
	for _, name := range either[1:] {
		others = append(others, path.MatchRelative().AtParent().AtName(name))
	}
	return schema.MapNestedAttribute{
		Optional:   true,
		Validators: []validator.Map{mapvalidator.KeysAre(localPath()), noneBelowAnother{}},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"content": schema.StringAttribute{
				MarkdownDescription: "The file's content.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.ExactlyOneOf(others...)},
			},
			"source": schema.StringAttribute{
				MarkdownDescription: "Path of a file on this machine, read when Terraform plans and again when it applies.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"sha256": schema.StringAttribute{
				MarkdownDescription: "Digest of the content, in hex.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{inputDigest{}},
			},
		}},
	}
}

func outputsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Files that the run leaves, by names of your choice. They stay in Redis as long as the resource does.",
		Optional:            true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"path": schema.StringAttribute{
				MarkdownDescription: "The file's path below `/data`.",
				Required:            true,
				Validators:          []validator.String{localPath()},
			},
			"size": schema.Int64Attribute{
				MarkdownDescription: "Its size in bytes.",
				Computed:            true,
			},
			"sha256": schema.StringAttribute{
				MarkdownDescription: "Digest of its content, in hex.",
				Computed:            true,
			},
			"content": schema.StringAttribute{
				MarkdownDescription: "Its content, where that is text (UTF-8) of at most 64 KiB; null otherwise.",
				Computed:            true,
			},
		}},
	}
}

func resultsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "What became of each step.",
		Computed:            true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"status": schema.StringAttribute{
				MarkdownDescription: "`succeeded`, `failed`, `stopped` (was running when another step failed) or `skipped`.",
				Computed:            true,
			},
			"exit_code": schema.Int64Attribute{
				MarkdownDescription: "Exit code of the program.",
				Computed:            true,
			},
			"started_at": schema.StringAttribute{
				MarkdownDescription: "When the program started (RFC 3339), the last time it did. Of a step that has failed its node tells the time, in whole seconds.",
				Computed:            true,
			},
			"finished_at": schema.StringAttribute{
				MarkdownDescription: "When the program ended (RFC 3339).",
				Computed:            true,
			},
			"duration": schema.StringAttribute{
				MarkdownDescription: "How long the program ran, for example `2.5s`.",
				Computed:            true,
			},
			"attempts": schema.Int64Attribute{
				MarkdownDescription: "How often its program was begun: once, and again for each of `retries`, for a pod that was lost with its node, and for each apply that tried it anew. Of a step that is many, by the one of its containers that was begun most often.",
				Computed:            true,
			},
			"digest": schema.StringAttribute{
				MarkdownDescription: "Digest of the tree that the step left.",
				Computed:            true,
			},
			"return_type": schema.StringAttribute{
				MarkdownDescription: "Type of the value that the called function of a package gave, for example `integer`, `string[]`, `File` or the name of a class. Null where the step calls none.",
				Computed:            true,
			},
			"return_value": schema.StringAttribute{
				MarkdownDescription: "That value as JSON, of at most 1 MiB: `jsondecode` makes a value of Terraform's of it. Integers of 64 bits, reals and strings are exact. A `File` or `Directory` is its path below `/data`, " +
					"an instance of a class is an object, and `unit` is `null`.",
				Computed: true,
			},
		}},
	}
}

// anyDrift is true when something was found lost.
func anyDrift(_ context.Context, req planmodifier.ListRequest, resp *listplanmodifier.RequiresReplaceIfFuncResponse) {
	resp.RequiresReplace = len(req.StateValue.Elements()) > 0
}

func runName() validator.String {
	return textRule{description: "a name of a run", problems: func(name string) []string {
		if problem := workflow.CheckName(name); problem != "" {
			return []string{problem}
		}
		return nil
	}}
}

// noneBelowAnother refuses files that would have to lie in another file.
type noneBelowAnother struct{}

func (noneBelowAnother) Description(context.Context) string {
	return "no path lies below another one"
}
func (v noneBelowAnother) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (noneBelowAnother) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	inputs := req.ConfigValue.Elements()
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		for above := slash.Dir(name); above != "." && above != "/"; above = slash.Dir(above) {
			if _, found := inputs[above]; found {
				resp.Diagnostics.AddAttributeError(req.Path.AtMapKey(name), "Input below another one",
					fmt.Sprintf("%q lies below %q, which is a file. Give one of them another path.", name, above))
			}
		}
	}
}

// localPath is a path below /data.
func localPath() validator.String {
	return textRule{description: "a path below /data", problems: func(name string) []string {
		switch {
		case strings.Contains(name, "\\") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return []string{"must hold no backslash and no control character"}
		case !filepath.IsLocal(name) || name != filepath.ToSlash(filepath.Clean(name)) || name == ".":
			return []string{"must be relative, without . and .., doubled or trailing slashes"}
		}
		return nil
	}}
}
