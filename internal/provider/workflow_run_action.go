package provider

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/action/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

var (
	_ action.ActionWithConfigure      = &runWorkflowAction{}
	_ action.ActionWithValidateConfig = &runWorkflowAction{}
)

func newRunWorkflowAction() action.Action { return &runWorkflowAction{} }

// runWorkflowAction runs a workflow again, each time as a run of its own. An action has no state: what a run leaves is told, stays for `retention`, and is gone.
type runWorkflowAction struct{ workflowRunResource }

func (a *runWorkflowAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_run_workflow"
}

func (a *runWorkflowAction) Configure(_ context.Context, req action.ConfigureRequest, resp *action.ConfigureResponse) {
	a.connections = connectionsOf(req.ProviderData, &resp.Diagnostics)
}

// stateOnly are the resource's attributes that mean nothing where there is no state.
var stateOnly = []string{"triggers", "wait", "on_interrupt", "timeouts", "secret_env_wo_version"}

func (a *runWorkflowAction) Schema(ctx context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	attributes := actionAttributes(a.runSchema(ctx).Attributes, stateOnly...)
	attributes[secretEnvAttribute] = actionAttribute(secretEnvAttribute, secretEnvSchema()) // each invocation reads the values, so no version is needed
	attributes["timeouts"] = invokeTimeout(ctx, runTimeout)
	resp.Schema = schema.Schema{
		MarkdownDescription: "Runs a workflow now (Terraform 1.14), each time anew, and tells how it gets on: which step has started, which has ended, how many there are still. " +
			"It takes the same attributes as `brane_workflow_run`, of which it is the way to run the same graph again without a change. " +
			"It leaves no record in the state: at the end it tells the outputs, whose files stay in Redis as long as `retention` says. " +
			"When the run has succeeded its Jobs are removed; those of a run that has failed stay for a week, for people to look at.",
		Attributes: attributes,
	}
}

// invokeTimeout bounds an action; limit is what holds where it is not set.
func invokeTimeout(ctx context.Context, limit time.Duration) schema.Attribute {
	attribute := timeouts.AttributesWithOpts(ctx, timeouts.Opts{InvokeDescription: fmt.Sprintf("For example `30m`. Default: `%s`.", limit)})
	if nested, ok := attribute.(schema.SingleNestedAttribute); ok {
		nested.MarkdownDescription = "How long it may take."
		return nested
	}
	return attribute
}

// runSchema is the resource's.
func (a *runWorkflowAction) runSchema(ctx context.Context) resourceschema.Schema {
	var resp resource.SchemaResponse
	a.workflowRunResource.Schema(ctx, resource.SchemaRequest{}, &resp)
	return resp.Schema
}

// model reads the action's configuration as the resource's, in which what only a state has is null.
func (a *runWorkflowAction) model(ctx context.Context, config tfsdk.Config, diags *diag.Diagnostics) workflowRunModel {
	whole := a.runSchema(ctx)
	var model workflowRunModel
	raw, found := asResource(ctx, whole.Attributes, config.Raw)
	diags.Append(found...)
	if !diags.HasError() {
		resourceConfig := tfsdk.Config{Schema: whole, Raw: raw}
		diags.Append(resourceConfig.Get(ctx, &model)...)
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
	limit, problems := limits.Invoke(ctx, runTimeout)
	resp.Diagnostics.Append(problems...)
	ctx, done := withTimeout(ctx, "invoke", limit)
	defer done()
	checkPage(model.ReportPath, &resp.Diagnostics)
	model.SecretEnv = model.secretEnv(&resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	a.invoke(ctx, &model, func(line string) { resp.SendProgress(action.InvokeProgressEvent{Message: line}) }, &resp.Diagnostics)
}

func (a *runWorkflowAction) invoke(ctx context.Context, model *workflowRunModel, tell func(string), diags *diag.Diagnostics) {
	// What is different each time makes the id so.
	model.ID, model.Images = types.StringUnknown(), types.MapUnknown(types.StringType)
	model.Triggers = types.MapValueMust(types.StringType, map[string]attr.Value{"brane_run_workflow": types.StringValue(time.Now().UTC().Format(time.RFC3339Nano) + " " + rand.Text())})
	run, ok := a.prepare(ctx, model, diags)
	if !ok {
		return
	}
	tell(fmt.Sprintf("run %q in namespace %q: %d steps", run.ID, run.Namespace, len(run.Graph.Steps())))
	progress := watchProgress(ctx, run, tell)
	result, err := run.Execute(ctx)
	progress.end(result, err)
	defer func() { writePage(ctx, run, model, progress, result, err, diags) }()
	reportAllowed(diags, model.Name.ValueString(), result)
	switch {
	case err != nil:
		report(diags, "Run not finished", fmt.Sprintf("Running %q in namespace %q of the cluster at %s", run.ID, run.Namespace, run.Kube.Host()), err)
	case len(result.Failures) > 0:
		reportFailures(diags, model.Name.ValueString(), result)
	default:
		paths := model.outputPaths(ctx, diags)
		if err := tellOutputs(ctx, run, result, paths, tell); err != nil {
			reportOutputs(diags, run.ID, paths, err)
		}
	}
	if diags.HasError() {
		tell(fmt.Sprintf("its Jobs stay for a week; to remove everything: kubectl -n %s delete jobs,configmaps -l %s=%s", run.Namespace, workflow.RunLabel, run.ID))
		return
	}
	if err := workflow.Delete(ctx, run.Kube, run.Namespace, run.ID, ""); err != nil {
		report(diags, "Run not tidied up", fmt.Sprintf("Deleting the objects of run %q, which has succeeded", run.ID), err)
	}
}

// shownContent is how much of an output's text is told.
const shownContent = 1 << 10

// tellOutputs tells a line for each output, with its content where that is short.
func tellOutputs(ctx context.Context, run *workflow.Run, result workflow.Result, paths map[string]string, tell func(string)) error {
	entries, err := run.Left(ctx, result, slices.Collect(maps.Values(paths)))
	if err != nil {
		return err
	}
	store, err := workflow.Files(run.Redis, run.ID)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		entry := entries[paths[name]]
		line := fmt.Sprintf("output %q: %s, %d bytes", name, paths[name], entry.Size)
		if entry.Size <= shownContent {
			var content bytes.Buffer
			if err := store.Read(ctx, entry, &content); err != nil {
				return fmt.Errorf("read output %q: %w", paths[name], err)
			}
			if text := strings.TrimRight(content.String(), "\n"); utf8.ValidString(text) && !strings.ContainsFunc(text, isControl) {
				line += ": " + text
			}
		}
		tell(line)
	}
	return nil
}

// isControl is true for what a terminal would obey to; line ends and tabs are text.
func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }
