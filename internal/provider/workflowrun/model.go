package workflowrun

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/inputs"
)

type workflowRunModel struct {
	ID             types.String `tfsdk:"id"`
	Name           types.String `tfsdk:"name"`
	Infrastructure types.String `tfsdk:"infrastructure"`
	SubmitWith     types.String `tfsdk:"submit_with"`
	Cluster        types.String `tfsdk:"cluster"`
	Namespace      types.String `tfsdk:"namespace"`
	metadataModel
	PodPatch           types.String         `tfsdk:"pod_patch"`
	Steps              types.Map            `tfsdk:"steps"`
	Defaults           types.Object         `tfsdk:"defaults"`
	Engine             types.Object         `tfsdk:"engine"`
	SecretEnvWO        types.Map            `tfsdk:"secret_env_wo"`
	SecretEnvWOVersion types.Int64          `tfsdk:"secret_env_wo_version"`
	Images             types.Map            `tfsdk:"images"`
	Inputs             types.Map            `tfsdk:"inputs"`
	Outputs            types.Map            `tfsdk:"outputs"`
	Parallelism        types.Int64          `tfsdk:"parallelism"`
	StartupTimeout     timetypes.GoDuration `tfsdk:"startup_timeout"`
	SchedulingTimeout  timetypes.GoDuration `tfsdk:"scheduling_timeout"`
	Wait               types.Bool           `tfsdk:"wait"`
	Prewarm            types.Bool           `tfsdk:"prewarm"`
	AgentInjection     types.String         `tfsdk:"agent_injection"`
	OnInterrupt        types.String         `tfsdk:"on_interrupt"`
	ExecutionID        types.String         `tfsdk:"execution_id"`
	Triggers           types.Map            `tfsdk:"triggers"`
	Retention          timetypes.GoDuration `tfsdk:"retention"`
	ReportPath         types.String         `tfsdk:"report_path"`
	ReportWrittenAt    types.String         `tfsdk:"report_written_at"`
	Status             types.String         `tfsdk:"status"`
	StartedAt          types.String         `tfsdk:"started_at"`
	FinishedAt         types.String         `tfsdk:"finished_at"`
	Duration           types.String         `tfsdk:"duration"`
	Results            types.Map            `tfsdk:"results"`
	OutputsDigest      types.String         `tfsdk:"outputs_digest"`
	Drift              types.List           `tfsdk:"drift"`
	Timeouts           timeouts.Value       `tfsdk:"timeouts"`
}

func (m *workflowRunModel) TimeoutLimits() (timeouts.Value, time.Duration) {
	return m.Timeouts, runTimeout
}

type outputModel struct {
	Path    types.String `tfsdk:"path"`
	Size    types.Int64  `tfsdk:"size"`
	SHA256  types.String `tfsdk:"sha256"`
	Content types.String `tfsdk:"content"`
}

type resultModel struct {
	Fingerprint types.String `tfsdk:"fingerprint"`
	Status      types.String `tfsdk:"status"`
	ExitCode    types.Int64  `tfsdk:"exit_code"`
	StartedAt   types.String `tfsdk:"started_at"`
	FinishedAt  types.String `tfsdk:"finished_at"`
	Duration    types.String `tfsdk:"duration"`
	Attempts    types.Int64  `tfsdk:"attempts"`
	Digest      types.String `tfsdk:"digest"`
	ReturnType  types.String `tfsdk:"return_type"`
	ReturnValue types.String `tfsdk:"return_value"`
}

var (
	outputType = types.ObjectType{AttrTypes: map[string]attr.Type{
		"path": types.StringType, "size": types.Int64Type, "sha256": types.StringType, "content": types.StringType,
	}}
	resultType = types.ObjectType{AttrTypes: map[string]attr.Type{
		"status": types.StringType, "exit_code": types.Int64Type, "started_at": types.StringType, "finished_at": types.StringType, "duration": types.StringType, "attempts": types.Int64Type,
		"digest": types.StringType, "fingerprint": types.StringType,
		"return_type": types.StringType, "return_value": types.StringType,
	}}
)

// hasInfrastructure reports whether the run is on a registered infrastructure. Otherwise the provider's own account submits the Jobs, in the configured namespace.
func (m workflowRunModel) hasInfrastructure() bool { return !m.Infrastructure.IsNull() }

// isSubmittedByProvider reports whether the provider's own account submits the Jobs.
func (m workflowRunModel) isSubmittedByProvider() bool {
	return !m.hasInfrastructure() || m.SubmitWith.ValueString() == submitProvider
}

// readSources returns the contents of the inputs and their digests.
func (m workflowRunModel) readSources(ctx context.Context, diags *diag.Diagnostics) (map[string]files.Source, map[string]string) {
	models := map[string]inputs.Model{}
	diags.Append(m.Inputs.ElementsAs(ctx, &models, false)...)
	sources, digests := map[string]files.Source{}, map[string]string{}
	for name, model := range models {
		digest, err := model.Digest()
		if err != nil {
			diags.AddAttributeError(path.Root("inputs").AtMapKey(name).AtName("source"), "Failed to read input file",
				fmt.Sprintf("Reading the file for input %q: %s. The file must exist when Terraform plans.", name, err))
			continue
		}
		digests[name] = digest
		sources[name] = model.ToSource()
	}
	return sources, digests
}

// outputPaths returns the paths of the declared outputs by name.
func (m workflowRunModel) outputPaths(ctx context.Context, diags *diag.Diagnostics) map[string]string {
	models := map[string]outputModel{}
	diags.Append(m.Outputs.ElementsAs(ctx, &models, false)...)
	paths := map[string]string{}
	for name, model := range models {
		paths[name] = model.Path.ValueString()
	}
	return paths
}

// podTimeouts returns how long pods may stay unscheduled or not started.
func (m workflowRunModel) podTimeouts(diags *diag.Diagnostics) workflow.PodTimeouts {
	return workflow.PodTimeouts{Startup: attribute.DurationOrZero(m.StartupTimeout, diags), Scheduling: attribute.DurationOrZero(m.SchedulingTimeout, diags)}
}

// setResult sets the results of the run. Values that are not known become null, because no value may stay unknown after apply.
func (m *workflowRunModel) setResult(ctx context.Context, status workflow.RunStatus, result workflow.Result, diags *diag.Diagnostics) {
	results := map[string]resultModel{}
	for name := range m.Steps.Elements() {
		results[name] = newResultModel(result.Steps[name], diags)
	}
	first, last := result.Times()
	m.Status, m.StartedAt, m.FinishedAt = types.StringValue(string(status)), attribute.TimeOrNull(first), attribute.TimeOrNull(last)
	m.Duration = durationOrNull(first, last)
	value, found := types.MapValueFrom(ctx, resultType, results)
	diags.Append(found...)
	m.Results = value
}

// newResultModel returns the result of a step; all values of a step that has not ended are null.
func newResultModel(step workflow.StepResult, diags *diag.Diagnostics) resultModel {
	if step.Status == "" {
		return resultModel{}
	}
	kind, value := resultOf(step.Value, diags)
	return resultModel{
		Fingerprint: attribute.StringOrNull(string(step.Fingerprint)), ReturnType: kind, ReturnValue: value,
		Status: types.StringValue(string(step.Status)), ExitCode: exitCode(step),
		StartedAt: attribute.TimeOrNull(step.Started), FinishedAt: attribute.TimeOrNull(step.Ended), Duration: durationOrNull(step.Started, step.Ended),
		Attempts: types.Int64Value(int64(step.Attempts)), Digest: attribute.StringOrNull(string(step.Layer)),
	}
}

// stepResults returns the known results of the steps, as far as a plan needs them.
func (m workflowRunModel) stepResults(ctx context.Context, diags *diag.Diagnostics) map[string]workflow.StepResult {
	results := map[string]workflow.StepResult{}
	for name, value := range m.Results.Elements() {
		var model resultModel
		object, ok := value.(types.Object)
		if !ok || object.IsUnknown() || !attribute.DecodeObject(ctx, object, &model, diags) {
			continue // in a plan, the result of a step that may run is not known
		}
		results[name] = workflow.StepResult{
			Status: workflow.StepStatus(model.Status.ValueString()), Layer: files.Layer(model.Digest.ValueString()), Fingerprint: files.Fingerprint(model.Fingerprint.ValueString()),
		}
	}
	return results
}

// exitCode returns the exit code of a step's command; null if the command did not run or its exit code is not known.
func exitCode(step workflow.StepResult) types.Int64 {
	hasRun := !step.Started.IsZero() // unlike a fan-out step without indexes
	if step.Status == workflow.Succeeded && hasRun || step.Status == workflow.Failed && step.Code != 0 {
		return types.Int64Value(int64(step.Code))
	}
	return types.Int64Null()
}

// durationOrNull returns the time between two moments; null if one of them is not known.
func durationOrNull(from, to time.Time) types.String {
	if from.IsZero() || to.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(to.Sub(from).Round(time.Millisecond).String())
}

// setOutputs sets the values of the declared outputs, if any.
func (m *workflowRunModel) setOutputs(ctx context.Context, layer files.Layer, outputs map[string]outputModel, diags *diag.Diagnostics) {
	m.OutputsDigest = attribute.StringOrNull(string(layer))
	if m.Outputs.IsNull() {
		return
	}
	value, found := types.MapValueFrom(ctx, outputType, outputs)
	diags.Append(found...)
	m.Outputs = value
}
