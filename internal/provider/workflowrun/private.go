package workflowrun

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The keys of the private data of a run, which its plans read and no user sees.
const (
	// successorKey has the run that replaces a deleted one: Terraform does not pass that to Delete in any other way.
	successorKey = "successor"
	// goneKey has the names of the steps whose stored results are gone, as the last refresh has found.
	goneKey = "gone"
	// rerunKey has the names of the steps that have run although the plan kept their results. The next refresh reads their results.
	rerunKey = "rerun"
)

// noSuccessor is the successor of a run that is destroyed and not replaced.
const noSuccessor = "null"

// successor is the run that replaces a deleted one: its name and its place. A value is nil if it is not known during the plan.
type successor struct {
	Name, Infrastructure, Cluster, Namespace *string

	// Continues is whether Create continues the deleted run if that has not succeeded. Terraform destroys a resource whose creation has failed, and creates it
	// again, which continues the run. Any other replacement starts from scratch, because the configuration or the user demands it.
	Continues bool
}

// encodeSuccessor returns the successor of a run that this plan replaces. before is what an earlier request of the same plan has returned: Terraform plans a
// replacement first as an update, and then as a creation, but a resource whose creation has failed only as a creation.
func encodeSuccessor(plan workflowRunModel, isCreated bool, before []byte) []byte {
	known := func(text types.String) *string {
		if text.IsUnknown() {
			return nil
		}
		value := text.ValueString()
		return &value
	}
	return encodeJSON(successor{known(plan.Name), known(plan.Infrastructure), known(plan.Cluster), known(plan.Namespace), isCreated && len(before) == 0})
}

// likeness is whether a run is replaced by one of the same name at the same place.
type likeness int

const (
	different likeness = iota
	possible           // it is not known during the plan
	same
)

// compareSuccessor compares a run with its successor, and returns whether that continues it.
func (m workflowRunModel) compareSuccessor(text []byte) (like likeness, continues bool) {
	var next *successor
	if err := json.Unmarshal(text, &next); err != nil || next == nil {
		return different, false
	}
	type pair struct {
		next *string
		own  types.String
	}
	pairs := []pair{{next.Name, m.Name}, {next.Infrastructure, m.Infrastructure}}
	if !m.hasInfrastructure() {
		pairs = append(pairs, pair{next.Cluster, m.Cluster}, pair{next.Namespace, m.Namespace})
	}
	found := same
	for _, p := range pairs {
		switch {
		case p.next == nil:
			found = possible
		case *p.next != p.own.ValueString():
			return different, false
		}
	}
	return found, next.Continues && m.Status.ValueString() != string(workflow.RunSucceeded)
}

// privateReader is the private data of a request.
type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

// privateWriter is the private data of a response.
type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// readNames returns the names in private data; none if there are none.
func readNames(ctx context.Context, from privateReader, key string, diags *diag.Diagnostics) (names []string) {
	text, found := from.GetKey(ctx, key)
	diags.Append(found...)
	if len(text) > 0 && json.Unmarshal(text, &names) != nil {
		return nil // this provider has written it
	}
	return names
}

// writeNames writes names to private data.
func writeNames(ctx context.Context, to privateWriter, key string, names []string, diags *diag.Diagnostics) {
	diags.Append(to.SetKey(ctx, key, encodeJSON(names))...)
}

func encodeJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only texts are encoded, which is always possible
	}
	return text
}
