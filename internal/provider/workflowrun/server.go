package workflowrun

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
)

// checkServer reports attributes that need a later version of Kubernetes than that of the API server, or a feature gate that it has disabled: it would
// drop their fields silently, and the steps would run without them.
func (m workflowRunModel) checkServer(ctx context.Context, graph workflow.Graph, target *clients.Infrastructure, agentImage string, diags *diag.Diagnostics) {
	if err := target.Kube.CheckVersion(ctx); err != nil {
		m.reportNoTarget(diags, err)
		return
	}
	server, err := target.Kube.ServerVersion(ctx)
	if err != nil {
		return // the requests that follow report what is wrong
	}
	template := jobspec.Template{
		Spec:     &workflow.Spec{ID: "version-check", Graph: graph, Namespace: target.Namespace, AgentImage: agentImage},
		Deadline: time.Unix(1, 0), Injection: workflow.InjectInitContainer,
		Secrets: jobspec.Secrets{Access: "version-check", Env: "version-check"}, // a dry run does not look for them
	}
	if m.AgentInjection.ValueString() == string(workflow.InjectImageVolume) { // auto selects it only if all nodes, and so the API server, support it
		template.Injection = workflow.InjectImageVolume
	}
	found, err := template.FindFeatures(server)
	if err != nil {
		diags.AddAttributeError(path.Root("steps"), "Invalid step configuration", err.Error()+".")
		return
	}
	check := serverCheck{model: m, client: target.Kube, server: server, diags: diags}
	for _, features := range found {
		check.checkStep(ctx, features)
	}
}

// serverCheck checks the features of steps against an API server.
type serverCheck struct {
	model    workflowRunModel
	client   *kube.Client
	server   *version.Version
	reported []string // attributes and fields, because one attribute may be that of many steps
	diags    *diag.Diagnostics
}

// checkStep reports the features of a step that the API server does not have. Whether a feature gate is enabled shows a dry run of its Job.
func (c *serverCheck) checkStep(ctx context.Context, features jobspec.StepFeatures) {
	isKnown := func(use jobspec.FeatureUse) bool { return use.IsKnown(c.server) }
	var refusal error
	if slices.ContainsFunc(features.Uses, isKnown) {
		job := features.Job
		job.OwnerReferences = nil
		err := c.client.DryRunCreate(ctx, job)
		if apierrors.IsInvalid(err) { // for example a volume whose only field was dropped
			refusal = err
		} else if err != nil {
			return // a quota or a policy, for example: creating the Job reports it
		}
	}
	for _, use := range features.Uses {
		if !isKnown(use) || refusal != nil || !use.IsKept(features.Job.Spec.Template.Spec) {
			c.report(ctx, features.Step, use, refusal)
		}
	}
}

// report adds an error about a feature on the attribute that sets it.
func (c *serverCheck) report(ctx context.Context, step string, use jobspec.FeatureUse, refusal error) {
	at := c.model.findFeaturePath(ctx, step, use, c.diags)
	key := at.String() + " " + use.Field
	if slices.Contains(c.reported, key) {
		return
	}
	c.reported = append(c.reported, key)
	answer := "does not have this field"
	switch {
	case refusal != nil:
		answer = "has refused such a Job: " + strings.TrimSuffix(refusal.Error(), ".")
	case use.IsKnown(c.server):
		answer = "has this feature gate disabled"
	}
	c.diags.AddAttributeError(at, "Unsupported by the version of Kubernetes", fmt.Sprintf(
		"%s sets %s in the pods of step %q, which requires %s. The API server at %s is Kubernetes %s and %s.\n\nUpgrade the cluster, or change %[1]s.",
		at, use.Field, step, use.Requirement(), c.client.Host(), c.server, answer))
}

// findFeaturePath returns the path of the attribute that sets a feature of a step.
func (m workflowRunModel) findFeaturePath(ctx context.Context, step string, use jobspec.FeatureUse, diags *diag.Diagnostics) path.Path {
	switch use.Attribute {
	case "":
		models, defaults := m.stepModels(ctx, diags)
		return m.listPodPatches(step, models[step], defaults)[use.Patch].at
	case "agent_injection":
		return path.Root(use.Attribute)
	}
	if own, isObject := m.Steps.Elements()[step].(types.Object); isObject && isSet(own.Attributes()[use.Attribute]) {
		return path.Root("steps").AtMapKey(step).AtName(use.Attribute)
	}
	return path.Root("defaults").AtName(use.Attribute)
}
