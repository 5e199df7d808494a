package workflowrun_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A run that has not succeeded stays for its continuation only if its creation has failed, which Terraform plans as a creation alone. Otherwise, it is deleted
// although the new run has the same name, for which the cluster is needed.
func TestDeleteOfAReplacedRun(t *testing.T) {
	p := planning{acctest.NewProtocol(t), t, map[string]tftypes.Value{}}
	p.RequireNoErrors(p.Configure(acctest.Object{"kubernetes": acctest.Object{"host": "https://127.0.0.1:1", "token": "own"}}, false).Diagnostics)
	schema := p.Schemas.ResourceSchemas["brane_workflow_run"]
	null, config := p.EncodeNull(schema), runTrio(nil)
	for name, tt := range map[string]struct {
		status    map[string]string
		isTainted bool
		change    acctest.Object
		isKept    bool
	}{
		"the creation has failed":                           {map[string]string{"b": "failed"}, true, nil, true},
		"the creation has failed, and the name has changed": {map[string]string{"b": "failed"}, true, acctest.Object{"name": "other"}, false},
		"an update has failed, and -replace":                {map[string]string{"b": "failed"}, false, nil, false},
		"it has succeeded and is tainted":                   {nil, true, nil, false},
		"it has succeeded, and -replace":                    {nil, false, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			state, changed := p.apply(config, tt.status), acctest.MergeObjects(config, tt.change)
			var private []byte
			if !tt.isTainted {
				private = p.PlanUpdate("brane_workflow_run", state, nil, changed).PlannedPrivate
			}
			planned, err := p.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
				TypeName: "brane_workflow_run", Config: p.EncodeObject(schema, changed), ProposedNewState: p.EncodeObject(schema, changed), PriorState: null, PriorPrivate: private,
			})
			acctest.NoError(t, err)
			p.RequireNoErrors(planned.Diagnostics)
			ctx, done := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer done()
			applied, err := p.ApplyResourceChange(ctx, &tfprotov6.ApplyResourceChangeRequest{
				TypeName: "brane_workflow_run", Config: null, PriorState: p.EncodeValue(schema.ValueType(), state), PlannedState: null, PlannedPrivate: planned.PlannedPrivate,
			})
			acctest.NoError(t, err)
			if said := acctest.FormatDiagnostics(applied.Diagnostics); (said == "") != tt.isKept || !tt.isKept && !strings.Contains(said, "Failed to delete run") {
				t.Errorf("it is kept: %t; %s", said == "", said)
			}
		})
	}
}
