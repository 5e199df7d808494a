package workflowrun

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	runrecord "github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// A run that is not in the state may exist nevertheless: its apply was killed before the state was written, its resource was removed from the state, or another
// state has a run of the same name at the same place. A run that did not succeed is continued. One that succeeded belongs to this resource if its steps are the
// same; otherwise nothing of it may be changed.

// claim is what a new run takes over.
type claim struct {
	owner     string // the execution that owns the run; empty if there is none
	execution string // the one whose results it takes over; empty if there is none
}

// claimRun looks for an earlier run at the place of a new one. It returns false if the earlier run is not that of this resource. The configurations of the graph
// have no execution.
func (m workflowRunModel) claimRun(ctx context.Context, target *clients.Infrastructure, client redis.UniversalClient, graph workflow.Graph, diags *diag.Diagnostics) (claim, bool) {
	ref := workflow.Ref{ID: m.ID.ValueString(), Namespace: target.Namespace}
	found, err := runrecord.Read(ctx, target.Kube, ref)
	if err != nil {
		return claim{}, true // there is none, or the execution reports why it cannot be read
	}
	if found.Status() != workflow.RunSucceeded {
		return claim{owner: found.Execution()}, true // it is continued
	}
	var fingerprints map[string]files.Fingerprint
	store, err := results.OpenFiles(client, ref.ID)
	if err == nil {
		fingerprints, err = store.Fingerprints(ctx)
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to prepare run", fmt.Sprintf("Reading in Redis which steps run %q has, which exists in namespace %q", ref.ID, ref.Namespace), err)
		return claim{}, false
	}
	difference := m.describeDifference(graph, fingerprints)
	if difference == "" {
		diags.AddWarning("Completed steps were not run again", fmt.Sprintf("Run %q has succeeded in namespace %q with the same steps, and was not in the state of this resource. Its results were taken over, "+
			"so that only steps without a result run. With lifecycle.create_before_destroy, which other resources that need this one may cause as well, -replace does that too. "+
			"To run all steps again, change a value in triggers.", ref.ID, ref.Namespace))
		return claim{found.Execution(), found.Execution()}, true
	}
	diags.AddAttributeError(path.Root("name"), "Run name in use", fmt.Sprintf(
		"Run %q has succeeded in namespace %q of the cluster at %s, %s, and is not in the state of this resource: %s. "+
			"Another resource may manage it, which would lose its results.\n\n"+
			"Give this run another name. If nothing else manages the existing run, import it (terraform import ADDRESS %s), "+
			"or delete it: kubectl -n %s delete configmap %s",
		ref.ID, ref.Namespace, target.Kube.Host(), runrecord.Describe(ref), difference, ref.ID, ref.Namespace, ref.ObjectName()))
	return claim{}, false
}

// describeDifference returns how the steps of a run that has succeeded differ from those of the graph; empty if they do not. Steps that are not cached differ
// in each execution, and optional steps may not have run.
func (m workflowRunModel) describeDifference(graph workflow.Graph, fingerprints map[string]files.Fingerprint) string {
	if len(fingerprints) == 0 {
		return "its results are not in Redis any more"
	}
	steps, optional := m.Steps.Elements(), graph.ListOptional()
	var others []string
	for name, fingerprint := range fingerprints {
		step := graph.Step(name)
		if !graph.HasStep(name) || isCached(steps[name]) && step.Fingerprint("").Configuration() != fingerprint.Configuration() {
			others = append(others, name)
		}
	}
	for _, name := range graph.Steps() {
		if _, found := fingerprints[name]; !found && !optional[name] {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return ""
	}
	slices.Sort(others)
	return "its configuration differs in the steps " + strings.Join(others, ", ")
}
