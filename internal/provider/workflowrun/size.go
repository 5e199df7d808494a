package workflowrun

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// checkSizes reports what the API server would not accept because of its size: Jobs, the Secret environment and the configuration of an engine.
// It is called as soon as the steps are known, and again before anything is created. Values that are not known yet count as empty.
func (m workflowRunModel) checkSizes(ctx context.Context, graph workflow.Graph, diags *diag.Diagnostics) {
	spec := &workflow.Spec{Graph: graph, Metadata: m.toMetadata(metadataModel{})}
	reportSteps(diags, jobspec.CheckSizes(spec))
	if m.waitsForEnd() {
		return
	}
	var outputs []string
	if !m.Outputs.IsUnknown() {
		outputs = m.keptPaths(ctx, diags)
	}
	if err := detached.CheckSize(spec, outputs); err != nil {
		diags.AddAttributeError(path.Root("wait"), "Workflow too large for wait = false", fmt.Sprintf(
			"With wait = false, the configuration of all steps is in one ConfigMap for the engine: %v. "+
				"Put long texts of command, args, env and items into an input, use several runs, or set wait = true.", err))
	}
}

// checkCertificates reports certificates of the provider block that pods cannot get.
func (r *runner) checkCertificates(model workflowRunModel, diags *diag.Diagnostics) {
	if r.clients == nil {
		return
	}
	if err := engine.CheckCertificates(r.clients.Redis.Certificates, workflow.AgentInjection(model.AgentInjection.ValueString())); err != nil {
		diags.AddError("Certificates for Redis too large", fmt.Sprintf("Passing the certificates of the redis block in the provider to the pods: %v.", err))
	}
}
