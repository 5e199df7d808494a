package workflowrun

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The warnings about steps that have other results than the plan kept say why.
func TestRestoreResults(t *testing.T) {
	result := func(status workflow.StepStatus, started, digest string) attr.Value {
		values := map[string]attr.Value{}
		for name, typ := range resultType.AttrTypes {
			values[name] = attr.Value(types.StringNull())
			if typ == types.Int64Type {
				values[name] = types.Int64Null()
			}
		}
		values["status"], values["started_at"], values["digest"] = types.StringValue(string(status)), types.StringValue(started), types.StringValue(digest)
		return types.ObjectValueMust(resultType.AttrTypes, values)
	}
	for name, tt := range map[string]struct {
		was, now attr.Value
		want     string
	}{
		"the same":                       {result(workflow.Succeeded, "1", "a"), result(workflow.Succeeded, "1", "a"), ""},
		"its files are in another layer": {result(workflow.Succeeded, "1", "a"), result(workflow.Succeeded, "1", "b"), ""},
		"it has run":                     {result(workflow.Succeeded, "1", "a"), result(workflow.Succeeded, "2", "a"), `Step "one" ran again: its files were needed`},
		"an allowed failure":             {result(workflow.Failed, "1", ""), result(workflow.Succeeded, "2", "a"), `Step "one" has succeeded after all: the failure was not stored`},
	} {
		t.Run(name, func(t *testing.T) {
			model := workflowRunModel{Name: types.StringValue("run"), Results: types.MapValueMust(resultType, map[string]attr.Value{"one": tt.now})}
			var diags diag.Diagnostics
			rerun := model.restoreResults(types.MapValueMust(resultType, map[string]attr.Value{"one": tt.was}), &diags)
			if !model.Results.Elements()["one"].Equal(tt.was) {
				t.Errorf("the result is %s", model.Results)
			}
			summary, detail, _ := strings.Cut(tt.want, ": ")
			if tt.want == "" && len(rerun)+len(diags) == 0 {
				return
			}
			if fmt.Sprint(rerun) != "[one]" || len(diags) != 1 || diags[0].Summary() != summary || !strings.Contains(diags[0].Detail(), detail) {
				t.Errorf("the next refresh reads %q; %v", rerun, diags)
			}
		})
	}
}
