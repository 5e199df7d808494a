package workflowrun

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
)

// Terraform destroys a run before it creates the run that replaces it. If values of the new run are only known during the apply, it may then turn out not to be
// valid. So Delete keeps such a run if it has succeeded, until its retention has passed, and Create deletes it when the new run has succeeded. If Create does
// not get so far, the former configuration has the same id and finds the files of the run. Terraform passes nothing from Delete to Create, but the same process
// serves both.

// replaced are the runs of this process that are being replaced.
var replaced = replacements{kept: map[replacementKey][]workflowRunModel{}, created: map[replacementKey]bool{}}

type replacements struct {
	mu      sync.Mutex
	kept    map[replacementKey][]workflowRunModel
	created map[replacementKey]bool
}

// replacementKey is what a run and the one that replaces it have in common. If the name or the place changes as well, the old run stays until its retention has
// passed.
type replacementKey struct {
	clients                                  *clients.Clients
	name, infrastructure, cluster, namespace string
}

func keyOf(c *clients.Clients, model workflowRunModel) replacementKey {
	key := replacementKey{clients: c, name: model.Name.ValueString(), infrastructure: model.Infrastructure.ValueString()}
	if !model.hasInfrastructure() { // otherwise the plan of the new run does not have the namespace
		key.cluster, key.namespace = model.Cluster.ValueString(), model.Namespace.ValueString()
	}
	return key
}

// keep notes a run that Create will delete. It reports false if Create was called before, because of create_before_destroy.
func (r *replacements) keep(c *clients.Clients, model workflowRunModel) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := keyOf(c, model)
	if r.created[key] {
		return false
	}
	r.kept[key] = append(r.kept[key], model)
	return true
}

// takeKept returns the runs that a created run replaces.
func (r *replacements) takeKept(c *clients.Clients, model workflowRunModel) []workflowRunModel {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := keyOf(c, model)
	kept := r.kept[key]
	delete(r.kept, key)
	r.created[key] = true
	return kept
}

// isKeptForSuccessor reports whether Delete keeps a run because the id of the run that replaces it is not known: it has succeeded, and its outputs are not lost.
func (m workflowRunModel) isKeptForSuccessor(successor string) bool {
	return successor == unknownSuccessor && m.Status.ValueString() == string(workflow.RunSucceeded) && len(m.Drift.Elements()) == 0
}

// keepForSuccessor lets the files of a run expire after its retention.
func (r *runner) keepForSuccessor(ctx context.Context, model workflowRunModel, diags *diag.Diagnostics) error {
	redis, _, err := r.clients.RedisClient(ctx)
	if err != nil {
		return err
	}
	return results.Limit(ctx, redis, model.ID.ValueString(), attribute.DurationOrZero(model.Retention, diags))
}

func (m workflowRunModel) sameRun(other workflowRunModel) bool { return m.ID.Equal(other.ID) }

func (m workflowRunModel) otherRun(other workflowRunModel) bool { return !m.ID.Equal(other.ID) }

// deletePredecessors deletes the kept runs for which isDue returns true, and returns the others. What fails is a warning, because their files expire.
func (r *workflowRunResource) deletePredecessors(ctx context.Context, kept []workflowRunModel, isDue func(workflowRunModel) bool, diags *diag.Diagnostics) []workflowRunModel {
	var others []workflowRunModel
	for _, old := range kept {
		if !isDue(old) {
			others = append(others, old)
			continue
		}
		var found diag.Diagnostics
		r.runner.deleteRun(ctx, &old, "", &found)
		for _, problem := range found.Errors() {
			diags.AddWarning(problem.Summary(), fmt.Sprintf("%s\n\nThe run was replaced; its files are deleted when its retention has passed.", problem.Detail()))
		}
	}
	return others
}

// warnKept adds a warning for each run that Terraform has destroyed although the run that replaces it has not succeeded.
func warnKept(kept []workflowRunModel, diags *diag.Diagnostics) {
	for _, old := range kept {
		diags.AddWarning("Replaced run kept in Redis", fmt.Sprintf(
			"Terraform has destroyed run %q, because values of the run that replaces it were not known during the plan, and that run has not succeeded. Its files stay in Redis for %s: "+
				"an apply with its configuration restores it without running any step.", old.ID.ValueString(), old.Retention.ValueString()))
	}
}
