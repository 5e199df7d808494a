package workflowrun

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// Configurations returns the first parts of the fingerprints of the steps of a planned run, as an execution has them.
func Configurations(raw tftypes.Value, secrets map[string]bool, execution string) (map[string]string, diag.Diagnostics) {
	ctx := context.Background()
	schema := resourceSchema(ctx)
	attribute.FixTypes(schema.Attributes)
	var model workflowRunModel
	var diags diag.Diagnostics
	attribute.Decode(ctx, tfsdk.Plan{Schema: schema, Raw: raw}, &model, &diags)
	found := map[string]string{}
	for _, step := range model.configure(ctx, model.graph(ctx, environment{}, &diags), secrets, execution, &diags).All() {
		found[step.Name] = step.Fingerprint("").Configuration()
	}
	return found, diags
}
