package workflowrun

import (
	"maps"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// A run can be refreshed and destroyed on another machine, and after its package has changed.
func TestStoredGraphNeedsNoPackageFile(t *testing.T) {
	ctx := t.Context()
	schema := resourceSchema(ctx)
	object := func(of tftypes.Type, values map[string]tftypes.Value) tftypes.Value {
		all := map[string]tftypes.Value{}
		is, _ := of.(tftypes.Object)
		for name, kind := range is.AttributeTypes {
			all[name] = tftypes.NewValue(kind, nil)
		}
		maps.Copy(all, values)
		return tftypes.NewValue(of, all)
	}
	text := func(value string) tftypes.Value { return tftypes.NewValue(tftypes.String, value) }
	run, _ := schema.Type().TerraformType(ctx).(tftypes.Object)
	steps, _ := run.AttributeTypes["steps"].(tftypes.Map)
	for file, what := range map[string]string{"/no/such/package.yml": "is on another machine", "../../../examples/data-sources/brane_package/container.yml": "describes another package"} {
		step := object(steps.ElementType, map[string]tftypes.Value{"package": text("probe:1.0.0"), "function": text("echo"), "package_file": text(file)})
		state := tfsdk.State{Schema: schema, Raw: object(run, map[string]tftypes.Value{
			"name": text("r"), "infrastructure": text("i"), "status": text("succeeded"), "steps": tftypes.NewValue(steps, map[string]tftypes.Value{"a": step}),
		})}
		var model workflowRunModel
		diags := state.Get(ctx, &model)
		var found diag.Diagnostics
		model.storedGraph(ctx, environment{}, &found)
		if diags.HasError() || len(found) > 0 {
			t.Errorf("the package file %s: %v %v", what, diags, found)
		}
	}
}
