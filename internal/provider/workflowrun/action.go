package workflowrun

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/action/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var (
	_ action.ActionWithConfigure      = &runWorkflowAction{}
	_ action.ActionWithValidateConfig = &runWorkflowAction{}
)

// NewAction returns the action `brane_run_workflow`.
func NewAction() action.Action { return &runWorkflowAction{} }

// runWorkflowAction runs a workflow, each time as a new run. An action has no state: it reports what the run produced, whose files stay in Redis for
// `retention`.
type runWorkflowAction struct{ runner runner }

func (a *runWorkflowAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_run_workflow"
}

func (a *runWorkflowAction) Configure(_ context.Context, req action.ConfigureRequest, resp *action.ConfigureResponse) {
	a.runner.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

// stateOnly are the attributes of the resource that an action does not have, because it has no state.
var stateOnly = []string{"triggers", "wait", "engine", "on_interrupt", "timeouts", "secret_env_wo_version"}

// actionDescriptions are the descriptions of those attributes whose description in the resource does not hold for the action.
var actionDescriptions = map[string]string{
	"name":        "Name of the run: a DNS label of at most 40 characters. Each invocation gets its own `id`, which starts with this name.",
	"retention":   "How long the files of the run, including its outputs, stay in Redis, counted from its start, for example `72h`. At least `1h`. Defaults to `168h`.",
	"outputs":     "Output files, by names of your choice. They are reported when the run has ended, and stay in Redis as long as `retention` specifies.",
	"labels":      "Labels of all Jobs and pods of the run. Those of `defaults` and of steps take precedence.",
	"annotations": "Annotations of all Jobs and pods of the run. Those of `defaults` and of steps take precedence.",
	"cluster":     clusterDescription,
	"namespace":   namespaceDescription,
	"submit_with": "Credentials to submit the Jobs with. `registered` uses those of the infrastructure, at the registered API server address, as Brane itself does. `provider` uses the provider's own, " +
		"for an infrastructure whose address cannot be reached from the machine that runs Terraform. Conflicts with `namespace`, where the provider's own are always used. Defaults to `registered`.",
	"defaults": "Default values for all steps. Map attributes (`env`, `env_from_secret`, `labels`, `annotations`, `node_selector`, `volumes`, `resource_claims`, `resources.requests`, `resources.limits`) and `security_context` are merged, with the step's value taking precedence. " +
		"`pod_patch` of a step is applied after the default. Any other attribute set on a step overrides the default.",
	"steps": "Steps of the run, by name: a DNS label of at most 40 characters.",
	"report_path": "Path of a file, on the machine that runs Terraform, to write a report of the run to when it ends, whether it succeeded or failed. The report is one self-contained HTML page with the graph, a timeline and, for each step, " +
		"its result, the files it wrote and the last lines of its output. Missing directories are created.",
	secretEnvAttribute: "Secret environment variables of the steps: a map from step names to maps of variables, for example `{ train = { TOKEN = var.token } }`. " +
		"The values are stored in a Secret of the run, not in the Jobs. The Secret is deleted when the run has succeeded.",
}

// withDescription returns an attribute of a schema for an action with another description.
func withDescription(attribute schema.Attribute, text string) schema.Attribute {
	switch a := attribute.(type) {
	case schema.StringAttribute:
		a.MarkdownDescription = text
		return a
	case schema.MapAttribute:
		a.MarkdownDescription = text
		return a
	case schema.MapNestedAttribute:
		a.MarkdownDescription = text
		return a
	case schema.SingleNestedAttribute:
		a.MarkdownDescription = text
		return a
	}
	panic(fmt.Sprintf("attribute of type %T: add it to withDescription", attribute)) // every schema is read in tests
}

func (a *runWorkflowAction) Schema(ctx context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	attributes := actionAttributes(resourceSchema(ctx).Attributes, stateOnly...)
	attributes[secretEnvAttribute] = actionAttribute(secretEnvAttribute, secretEnvSchema()) // without a version: each invocation reads the values
	for name, text := range actionDescriptions {
		attributes[name] = withDescription(attributes[name], text)
	}
	attributes["reuse"] = schema.BoolAttribute{
		MarkdownDescription: "Whether to use the results of earlier invocations with `reuse`, by the same `name` on the same cluster and namespace: steps whose results are still stored, because of `retention`, do not run again. " +
			"See the guide [What runs again](../guides/what-runs-again.md). A change of `secret_env_wo` alone runs nothing again. Defaults to `false`.",
		Optional: true,
	}
	attributes["timeouts"] = invokeTimeout(ctx, runTimeout)
	resp.Schema = schema.Schema{
		MarkdownDescription: "Runs a workflow and reports its progress: which steps have started and ended, and how many remain. Requires Terraform 1.14.\n\n" +
			"Every invocation is a new run that executes all steps, unless `reuse` is set. Use the resource `brane_workflow_run` instead to run a workflow once for each change of its inputs or steps. " +
			"The attributes are those of the resource, without `triggers`, `wait`, `engine`, `on_interrupt` and `secret_env_wo_version`, which concern its state.\n\n" +
			"The action leaves no record in the state. It reports the outputs when the run has ended; their files stay in Redis as long as `retention` specifies. " +
			"The Jobs of a run that succeeded are deleted. Those of a failed run are kept for 7 days, for inspection.",
		Attributes: attributes,
	}
}

// invokeTimeout returns the timeouts of an action with a default.
func invokeTimeout(ctx context.Context, limit time.Duration) schema.Attribute {
	timeout := timeouts.AttributesWithOpts(ctx, timeouts.Opts{InvokeDescription: fmt.Sprintf("For example `30m`. Defaults to `%s`.", attribute.FormatDuration(limit))})
	if nested, ok := timeout.(schema.SingleNestedAttribute); ok {
		nested.MarkdownDescription = "Time limit of the action."
		return nested
	}
	return timeout
}

// model reads the action's configuration as one of the resource, in which the attributes that an action does not have are null.
func (a *runWorkflowAction) model(ctx context.Context, config tfsdk.Config, diags *diag.Diagnostics) workflowRunModel {
	whole := resourceSchema(ctx)
	var model workflowRunModel
	raw, found := asResource(ctx, whole.Attributes, config.Raw)
	diags.Append(found...)
	if !diags.HasError() {
		resourceConfig := tfsdk.Config{Schema: whole, Raw: raw}
		attribute.Decode(ctx, resourceConfig, &model, diags)
	}
	return model
}

// ValidateConfig checks the graph as soon as the steps are known, as the resource does.
func (a *runWorkflowAction) ValidateConfig(ctx context.Context, req action.ValidateConfigRequest, resp *action.ValidateConfigResponse) {
	model := a.model(ctx, req.Config, &resp.Diagnostics)
	if !resp.Diagnostics.HasError() {
		model.checkSteps(ctx, &resp.Diagnostics)
		model.checkSubmit(&resp.Diagnostics)
	}
}

func (a *runWorkflowAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	model := a.model(ctx, req.Config, &resp.Diagnostics)
	var limits timeouts.Value
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("timeouts"), &limits)...)
	var reuse types.Bool
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("reuse"), &reuse)...)
	limit, problems := limits.Invoke(ctx, runTimeout)
	resp.Diagnostics.Append(problems...)
	ctx, done := attribute.WithTimeout(ctx, "invoke", limit)
	defer done()
	checkPage(model.ReportPath, &resp.Diagnostics)
	env := environment{packageVersion: a.runner.clients.PackageVersion(), secretEnv: model.secretEnv(&resp.Diagnostics)}
	if resp.Diagnostics.HasError() {
		return
	}
	why := invoking
	if reuse.ValueBool() {
		why = reusing
	}
	a.invoke(ctx, &model, env, why, func(line string) { resp.SendProgress(action.InvokeProgressEvent{Message: line}) }, &resp.Diagnostics)
}

func (a *runWorkflowAction) invoke(ctx context.Context, model *workflowRunModel, env environment, why occasion, send func(string), diags *diag.Diagnostics) {
	model.Images = types.MapUnknown(types.StringType)
	run, ok := a.runner.prepareRun(ctx, model, env, why, diags)
	if !ok {
		return
	}
	send(fmt.Sprintf("run %q in namespace %q: %d steps", run.spec.ID, run.spec.Namespace, len(run.spec.Graph.Steps())))
	progress := watchProgress(ctx, run, send)
	result, err := engine.Execute(ctx, run.spec, run.clients, run.options)
	progress.finish(result, err)
	defer func() { writePage(ctx, run, model, progress, result, err, diags) }()
	reportAllowed(diags, model.Name.ValueString(), result)
	switch {
	case err != nil:
		model.reportUnfinished(diags, run, err, invokeAgain(why))
	case len(result.Failures) > 0:
		reportFailures(diags, model.Name.ValueString(), result)
	default:
		paths := model.outputPaths(ctx, diags)
		if err := reportContents(ctx, run.clients.Results, result, paths, send); err != nil {
			reportOutputs(diags, run.spec.ID, paths, err)
		}
	}
	if diags.HasError() {
		send(fmt.Sprintf("the Jobs are kept for 7 days; to delete everything: kubectl -n %s delete jobs,configmaps -l %s=%s", run.spec.Namespace, workflow.RunLabel, run.spec.ID))
		return
	}
	if err := engine.Delete(ctx, run.clients.Kube, run.spec.Ref(), ""); err != nil {
		diagnostic.AddError(diags, "Failed to delete objects of run", fmt.Sprintf("Deleting the objects of run %q, which succeeded", run.spec.ID), err)
	}
}

// invokeAgain returns how a run of an action continues that has not finished.
func invokeAgain(why occasion) string {
	if why == reusing {
		return "The next invocation resumes the run: completed steps do not run again."
	}
	return "The next invocation runs all steps again, because reuse is not set."
}

// shownContent is the size up to which the text of an output is reported.
const shownContent = 1 << 10

// reportContents reports each output in one line, with its content if that is short text.
func reportContents(ctx context.Context, store *results.Store, result workflow.Result, paths map[string]string, send func(string)) error {
	outputs, err := store.PeekOutputs(ctx, result, slices.Collect(maps.Values(paths)), shownContent)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		output, isWritten := outputs[paths[name]]
		if !isWritten {
			send(fmt.Sprintf("output %q: %s was not written, because a fan-out step has no items", name, paths[name]))
			continue
		}
		line := fmt.Sprintf("output %q: %s, %d bytes", name, paths[name], output.Size)
		text := strings.TrimRight(string(output.Content), "\n")
		if output.Content != nil && utf8.ValidString(text) && !strings.ContainsFunc(text, isControl) {
			line += ": " + text
		}
		send(line)
	}
	return nil
}

// isControl reports whether a terminal would interpret the character as a control sequence. Line ends and tabs are text.
func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }
