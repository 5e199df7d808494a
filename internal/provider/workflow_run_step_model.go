package provider

import (
	"context"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

type stepModel struct {
	Image      types.String         `tfsdk:"image"`
	Command    []string             `tfsdk:"command"`
	Args       []string             `tfsdk:"args"`
	Env        map[string]string    `tfsdk:"env"`
	WorkingDir types.String         `tfsdk:"working_dir"`
	Needs      []string             `tfsdk:"needs"`
	Timeout    timetypes.GoDuration `tfsdk:"timeout"`
	RunAsUser  types.Int64          `tfsdk:"run_as_user"`
}

// graph turns the steps into a graph; what is wrong with it is told on the attribute.
func (m workflowRunModel) graph(ctx context.Context, diags *diag.Diagnostics) workflow.Graph {
	models := map[string]stepModel{}
	diags.Append(m.Steps.ElementsAs(ctx, &models, false)...)
	var steps []workflow.Step
	for _, name := range slices.Sorted(maps.Keys(models)) {
		steps = append(steps, models[name].step(name, diags))
	}
	graph, err := workflow.NewGraph(steps)
	for _, problem := range problems(err) {
		at := path.Root("steps")
		if problem.Step != "" {
			at = at.AtMapKey(problem.Step)
		}
		if problem.Field != "" {
			at = at.AtName(problem.Field)
		}
		diags.AddAttributeError(at, "Steps form no graph", problem.Problem+".")
	}
	return graph
}

// problems are the step errors joined in err.
func problems(err error) []*workflow.StepError {
	joined, ok := err.(interface{ Unwrap() []error }) // errors.Join gives no other way to take its parts apart
	if !ok {
		return nil
	}
	var found []*workflow.StepError
	for _, part := range joined.Unwrap() {
		if problem, ok := part.(*workflow.StepError); ok { //nolint:errorlint // NewGraph joins these and wraps none
			found = append(found, problem)
		}
	}
	return found
}

func (m stepModel) step(name string, diags *diag.Diagnostics) workflow.Step {
	step := workflow.Step{
		Name: name, Image: m.Image.ValueString(), Command: m.Command, Args: m.Args, Env: m.Env,
		WorkingDir: m.WorkingDir.ValueString(), Needs: slices.Sorted(slices.Values(m.Needs)), RunAsUser: m.RunAsUser.ValueInt64Pointer(),
	}
	if !m.Timeout.IsNull() {
		timeout, found := m.Timeout.ValueGoDuration()
		diags.Append(found...)
		step.Timeout = timeout
	}
	return step
}
