package workflowrun

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
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

// successor is the name and the place of the run that replaces a deleted one. A value is nil if it is not known during the plan.
type successor struct{ Name, Infrastructure, Cluster, Namespace *string }

// encodeSuccessor returns the successor of a run that this plan replaces.
func encodeSuccessor(plan workflowRunModel) []byte {
	known := func(text types.String) *string {
		if text.IsUnknown() {
			return nil
		}
		value := text.ValueString()
		return &value
	}
	return encodeJSON(successor{known(plan.Name), known(plan.Infrastructure), known(plan.Cluster), known(plan.Namespace)})
}

// likeness is whether a run is replaced by one of the same name at the same place, which continues it.
type likeness int

const (
	different likeness = iota
	possible           // it is not known during the plan
	same
)

// compareSuccessor compares a run with its successor.
func (m workflowRunModel) compareSuccessor(text []byte) likeness {
	var next *successor
	if err := json.Unmarshal(text, &next); err != nil || next == nil {
		return different
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
			return different
		}
	}
	return found
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
