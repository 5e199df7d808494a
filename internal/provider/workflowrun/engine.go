package workflowrun

import (
	"context"
	"errors"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// engineModel has the attributes of the engine's pod, which are a part of those of a step.
type engineModel struct {
	Resources          *resourcesModel   `tfsdk:"resources"`
	NodeSelector       map[string]string `tfsdk:"node_selector"`
	Tolerations        []tolerationModel `tfsdk:"tolerations"`
	Affinity           types.String      `tfsdk:"affinity"`
	PriorityClassName  types.String      `tfsdk:"priority_class_name"`
	RuntimeClassName   types.String      `tfsdk:"runtime_class_name"`
	SchedulerName      types.String      `tfsdk:"scheduler_name"`
	ImagePullSecrets   []string          `tfsdk:"image_pull_secrets"`
	ServiceAccountName types.String      `tfsdk:"service_account_name"`
	PodPatch           types.String      `tfsdk:"pod_patch"`
	metadataModel
}

// enginePath is the path of the attribute.
var enginePath = path.Root("engine")

// engineSchema returns the schema of the pod of the engine. No change of it runs anything again.
func engineSchema() schema.Attribute {
	const inherited = " Defaults to that of `defaults`." + runsNothing
	attributes := placementAttributes(inherited)
	maps.Copy(attributes, map[string]schema.Attribute{
		"resources":          resourcesAttribute("Resource requests and limits of the engine. What is not set is chosen so that it fits the namespace: normally 50m of CPU without a limit, and 64 MiB of memory with a limit of 256 MiB." + runsNothing),
		"image_pull_secrets": attribute.NewNames("Names of Secrets in the namespace with the credentials for pulling the image of the engine, which is `agent_image` of the provider." + inherited),
		"service_account_name": schema.StringAttribute{
			MarkdownDescription: "Name of the ServiceAccount of the engine. It needs the permissions of the service account of a `brane_namespace` with `access = \"run\"`. Defaults to the one that is registered for the infrastructure." + runsNothing,
			Optional:            true,
			Validators:          []validator.String{attribute.DNSSubdomain()},
		},
		"labels":      labelsAttribute("Labels of the Job and the pod of the engine, in addition to those of the run."),
		"annotations": annotationsAttribute("Annotations of the Job and the pod of the engine, in addition to those of the run."),
		"pod_patch":   podPatchAttribute("Strategic merge patch over the finished pod template of the engine, as JSON or YAML. It has the form of `pod_patch` of the run, which does not apply to the engine. The name of the container is `engine`." + runsNothing),
	})
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Pod of the engine of a run with `wait = false`. It is ignored if apply waits for the run, and a change takes effect when an engine is started the next time." + runsNothing,
		Optional:            true,
		Attributes:          attributes,
	}
}

// inheritedByEngine returns those of the defaults of steps that also apply to the engine: the nodes on which the pods of the run may be, and the
// credentials for images.
func (m podModel) inheritedByEngine() podModel {
	inherited := podModel{
		NodeSelector: m.NodeSelector, Tolerations: m.Tolerations, Affinity: m.Affinity, PriorityClassName: m.PriorityClassName,
		RuntimeClassName: m.RuntimeClassName, ImagePullSecrets: m.ImagePullSecrets,
	}
	inherited.SchedulerName = m.SchedulerName
	return inherited
}

// toEnginePod converts the attributes of the engine, and reports errors on them.
func (m workflowRunModel) toEnginePod(ctx context.Context, diags *diag.Diagnostics) workflow.EnginePod {
	var own engineModel
	if !m.Engine.IsNull() {
		diags.Append(m.Engine.As(ctx, &own, basetypes.ObjectAsOptions{})...)
	}
	var defaults podModel
	if !m.Defaults.IsNull() {
		diags.Append(m.Defaults.As(ctx, &defaults, basetypes.ObjectAsOptions{})...)
	}
	pod := podModel{
		Resources: own.Resources, NodeSelector: own.NodeSelector, Tolerations: own.Tolerations, Affinity: own.Affinity, PriorityClassName: own.PriorityClassName,
		RuntimeClassName: own.RuntimeClassName, ImagePullSecrets: own.ImagePullSecrets, ServiceAccountName: own.ServiceAccountName,
	}
	pod.SchedulerName = own.SchedulerName
	var step workflow.Step
	pod.withDefaults(defaults.inheritedByEngine()).applyTo(&step, enginePath, diags)
	engine := workflow.EnginePod{
		Resources: step.Resources, Placement: step.Placement, PullSecrets: step.PullSecrets, ServiceAccountName: step.ServiceAccountName,
		Metadata: own.toMetadata(metadataModel{}), PodPatches: podPatches{{enginePath.AtName("pod_patch"), own.PodPatch}}.parse(diags),
	}
	for _, problem := range stepErrors(engine.Check()) {
		diags.AddAttributeError(enginePath.AtName(problem.Field).AtName(problem.Key), "Invalid engine configuration", problem.Problem+".")
	}
	var patch *jobspec.PodPatchError
	if errors.As(jobspec.CheckEnginePatches(engine.PodPatches), &patch) {
		reportPodPatch(diags, enginePath.AtName("pod_patch"), patch)
	}
	return engine
}

// checkEngine checks the engine as soon as it is known.
func (m workflowRunModel) checkEngine(ctx context.Context, diags *diag.Diagnostics) {
	if !attribute.HasUnknown(m.Engine) && !attribute.HasUnknown(m.Defaults) {
		m.toEnginePod(ctx, diags)
	}
}
