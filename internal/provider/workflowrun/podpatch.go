package workflowrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

func podPatchAttribute(description string) schema.Attribute {
	return schema.StringAttribute{MarkdownDescription: description, Optional: true, Validators: []validator.String{podPatchText{}}}
}

// podPatchText validates a patch by the types of Kubernetes.
type podPatchText struct{}

func (podPatchText) Description(context.Context) string {
	return "a strategic merge patch over a pod template, as JSON or YAML"
}
func (v podPatchText) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (podPatchText) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	podPatches{{req.Path, req.ConfigValue}}.parse(&resp.Diagnostics)
}

// podPatches are the patches of a pod in the order in which they are applied.
type podPatches []podPatch

type podPatch struct {
	at   path.Path
	text types.String
}

// listPodPatches returns the patches of a step's pod that are set.
func (m workflowRunModel) listPodPatches(name string, step stepModel, defaults podModel) podPatches {
	var patches podPatches
	for _, patch := range []podPatch{
		{path.Root("pod_patch"), m.PodPatch},
		{path.Root("defaults").AtName("pod_patch"), defaults.PodPatch},
		{path.Root("steps").AtMapKey(name).AtName("pod_patch"), step.PodPatch},
	} {
		if isSet(patch.text) {
			patches = append(patches, patch)
		}
	}
	return patches
}

// parse returns the known patches as JSON, and reports those that are not valid on their attributes.
func (p podPatches) parse(diags *diag.Diagnostics) (parsed []json.RawMessage) {
	for _, patch := range p {
		if !isSet(patch.text) {
			continue
		}
		text, err := jobspec.ParsePodPatch(patch.text.ValueString())
		if err != nil {
			diags.AddAttributeError(patch.at, "Invalid pod patch", fmt.Sprintf("Parsing %s as a strategic merge patch over a pod template: %s.", patch.at, err))
			continue
		}
		parsed = append(parsed, text)
	}
	return parsed
}

// checkPodPatches reports the patches that change what Brane needs in the pods of steps, on their attributes. A patch of several steps is reported
// once.
func (m workflowRunModel) checkPodPatches(ctx context.Context, graph workflow.Graph, diags *diag.Diagnostics) {
	models, defaults := m.stepModels(ctx, diags)
	for _, err := range jobspec.CheckPodPatches(graph, workflow.AgentInjection(m.AgentInjection.ValueString())) {
		var problem *jobspec.PodPatchError
		if !errors.As(err, &problem) {
			diags.AddAttributeError(path.Root("steps"), "Invalid step configuration", err.Error()+".")
			continue
		}
		patch := m.listPodPatches(problem.Step, models[problem.Step], defaults)[problem.Index]
		reportPodPatch(diags, patch.at, problem)
	}
}

// reportPodPatch adds an error for a patch, unless the patch has one already.
func reportPodPatch(diags *diag.Diagnostics, at path.Path, problem *jobspec.PodPatchError) {
	for _, known := range diags.Errors() {
		if located, ok := known.(diag.DiagnosticWithPath); ok && located.Path().Equal(at) {
			return
		}
	}
	pod := "the engine"
	if problem.Step != "" {
		pod = fmt.Sprintf("step %q", problem.Step)
	}
	diags.AddAttributeError(at, "Invalid pod patch", fmt.Sprintf("Applying %s to the pod of %s: %s.", at, pod, problem.Problem))
}
