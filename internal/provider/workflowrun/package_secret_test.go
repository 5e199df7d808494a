package workflowrun

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// What a package calls confidential is warned of, and no diagnostic repeats the value of an argument.
func TestPackageArgumentsAreNotTold(t *testing.T) {
	const secret = "hunter2"
	model := packageModel{
		Package: types.StringValue("survey:1.2.0-rc.1"), Function: types.StringValue("look"), Kind: types.StringNull(), BraneVersion: types.StringNull(),
		PackageFile: types.StringValue("../../brane/branelet/packagefile/testdata/early.container.yml"),
		Arguments:   map[string]argumentModel{"at": {String: types.StringValue(secret)}, "key": {String: types.StringValue(secret)}, "none": {String: types.StringValue(secret), Integer: types.Int64Value(1)}},
	}
	var diags diag.Diagnostics
	model.toCall(path.Root("steps").AtMapKey("a"), "a", environment{packageVersion: branelet.V06}, &diags)
	warned := false
	for _, d := range diags {
		if strings.Contains(d.Summary()+d.Detail(), secret) {
			t.Errorf("told: %s", d.Detail())
		}
		warned = warned || d.Severity() == diag.SeverityWarning && d.Summary() == "Secret argument in a Job" && strings.HasPrefix(d.Detail(), `Step "a": argument "key" of function "look" is confidential to package "survey:1.2.0-rc.1"`)
	}
	if !warned || diags.ErrorsCount() < 3 { // a type, an argument with two values, one that is missing
		t.Errorf("got %v", diags)
	}
}
