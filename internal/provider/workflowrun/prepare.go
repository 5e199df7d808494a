package workflowrun

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	runrecord "github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
	"github.com/braneframework/terraform-provider-brane/internal/provider/inputs"
)

// occasion is why a run is executed.
type occasion int

const (
	creating occasion = iota // the resource does not exist yet, but the run may
	updating
	invoking // by the action, as a new run
	reusing  // by the action, with the results of earlier invocations
)

// runID returns the id of the run in a cluster. An action never has the id of a resource, because it deletes the record of its run.
func (m workflowRunModel) runID(why occasion, cluster, namespace string) string {
	name := m.Name.ValueString()
	switch why {
	case updating:
		return m.ID.ValueString()
	case invoking:
		return workflow.RunID(name, rand.Text(), namespace)
	case reusing:
		return workflow.RunID(name, "brane_run_workflow "+cluster, namespace)
	case creating:
	}
	return workflow.RunID(name, cluster, namespace)
}

// prepareRun builds the run from the plan and checks everything that can be checked before objects are created in the cluster.
func (r *runner) prepareRun(ctx context.Context, model *workflowRunModel, env environment, why occasion, diags *diag.Diagnostics) (*workflowRun, bool) {
	graph := model.decodeGraph(ctx, env, diags)
	model.pinImages(ctx, graph, diags)
	graph = model.withPinnedImages(graph)
	if !diags.HasError() {
		model.checkPodPatches(ctx, graph, diags) // they may have been unknown during validation
	}
	sources, digests := model.readSources(ctx, diags)
	model.checkDigests(ctx, digests, diags)
	enginePod := model.toEnginePod(ctx, diags)
	retention := attribute.DurationOrZero(model.Retention, diags)
	if diags.HasError() {
		return nil, false
	}
	complete := resolveCommands(ctx, graph, diags)
	if diags.HasError() {
		return nil, false
	}
	model.checkSizes(ctx, complete, diags) // again, as not all values may have been known during the plan
	r.checkCertificates(*model, diags)
	if diags.HasError() {
		return nil, false
	}
	target, err := r.findTarget(ctx, model)
	if err != nil {
		model.reportNoTarget(diags, err)
		return nil, false
	}
	if why == updating && model.Namespace.ValueString() != target.Namespace {
		model.reportMoved(diags, target.Namespace)
		return nil, false
	}
	if model.checkServer(ctx, complete, target, r.clients.AgentImage, diags); diags.HasError() {
		return nil, false
	}
	id := model.runID(why, cmp.Or(target.Server, kube.NormalizeServer(target.Kube.Host())), target.Namespace)
	redis, warnings, err := r.clients.RedisClient(ctx)
	if err != nil {
		diagnostic.AddError(diags, "Failed to connect to Redis", fmt.Sprintf("Connecting to Redis to store the files of run %q", id), err)
		return nil, false
	}
	diagnostic.AddRedisWarnings(diags, warnings)
	url, err := r.clients.PodRedisURL(target.MountDFS)
	if err != nil {
		diagnostic.AddError(diags, "Failed to connect to Redis", fmt.Sprintf("Determining the Redis address for the pods of run %q", id), err)
		return nil, false
	}
	before := model.ExecutionID.ValueString() // of an update
	model.ID, model.Namespace, model.ExecutionID = types.StringValue(id), types.StringValue(target.Namespace), types.StringValue(rand.Text())
	execution := model.ExecutionID.ValueString()
	var earlier claim
	if why == creating {
		var ok bool
		if earlier, ok = model.claimRun(ctx, target, redis, model.configure(ctx, graph, env.secretSteps(), "", diags), diags); !ok {
			return nil, false
		}
		execution = cmp.Or(earlier.execution, execution)
	}
	digestsOf := map[string]string{}
	for _, step := range model.configure(ctx, graph, env.secretSteps(), execution, diags).All() {
		digestsOf[step.Name] = step.Configuration
	}
	graph = complete.WithConfigurations(digestsOf)
	store, err := results.Open(redis, id, graph)
	if err != nil {
		diagnostic.AddError(diags, "Failed to prepare run", fmt.Sprintf("Opening the files of run %q", id), err)
		return nil, false
	}
	return &workflowRun{
		spec: &workflow.Spec{
			ID: id, Graph: graph, Inputs: sources, InputDigest: workflow.DigestInputs(digests), Namespace: target.Namespace, Location: target.Name, Address: target.Address, Registry: target.Registry,
			AgentImage: r.clients.AgentImage, Version: r.clients.Version, Users: r.clients.Redis.Users, PodConnections: r.clients.Redis.PodConnections, Retention: retention, Timeouts: model.podTimeouts(diags),
			Parallel: int(model.Parallelism.ValueInt64()), Prewarm: model.Prewarm.ValueBool(),
			AgentInjection: workflow.AgentInjection(model.AgentInjection.ValueString()), Metadata: model.toMetadata(metadataModel{}),
			Engine: enginePod,
		},
		clients: engine.Clients{
			Kube:    target.Kube,
			Nodes:   r.findNodesClient(model, target.Kube),
			Results: store, RedisURL: url, Certificates: r.clients.Redis.Certificates,
		},
		options: engine.Options{
			Holder: runrecord.Holder{Name: describeHolder(), Execution: model.ExecutionID.ValueString(), Replaces: before}, Detach: model.OnInterrupt.ValueString() == detach,
		},
		owner: earlier.owner,
	}, true
}

// checkDigests reports inputs whose content is not that of the plan.
func (m workflowRunModel) checkDigests(ctx context.Context, digests map[string]string, diags *diag.Diagnostics) {
	planned := map[string]inputs.Model{}
	diags.Append(m.Inputs.ElementsAs(ctx, &planned, false)...)
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		known := planned[name].SHA256
		if known.IsNull() || known.IsUnknown() || known.ValueString() == digests[name] {
			continue // an action has no plan
		}
		diags.AddAttributeError(path.Root("inputs").AtMapKey(name), "Inputs changed since the plan",
			fmt.Sprintf("Run %q was planned, but the content of input %q has changed since. Plan again.", m.Name.ValueString(), name))
	}
}

// reportMoved reports that the infrastructure of a run has another namespace now.
func (m workflowRunModel) reportMoved(diags *diag.Diagnostics, namespace string) {
	diags.AddAttributeError(path.Root("infrastructure"), "Infrastructure has another namespace", fmt.Sprintf(
		"Run %q is in namespace %q, but infrastructure %q is now registered with namespace %q. To run all steps there, replace the run: terraform apply -replace=ADDRESS",
		m.ID.ValueString(), m.Namespace.ValueString(), m.Infrastructure.ValueString(), namespace))
}
