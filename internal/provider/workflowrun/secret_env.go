package workflowrun

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// secretEnvAttribute is the name of the attribute with the secret environment of all steps. It is not an attribute of a step: a CLI prints a write-only
// attribute in each plan, also if it is not set, and would print one for each step.
const secretEnvAttribute = "secret_env_wo" //nolint:gosec // a name

// secretEnvSchema returns the schema of secret_env_wo with additional validators.
func secretEnvSchema(additional ...validator.Map) schema.MapAttribute {
	return schema.MapAttribute{
		MarkdownDescription: "Secret environment variables of the steps: a map from step names to maps of variables, for example `{ train = { TOKEN = var.token } }`. " +
			"The values are stored in a Secret of the run, not in the Terraform state and not in the Jobs.",
		ElementType: types.MapType{ElemType: types.StringType},
		Optional:    true,
		WriteOnly:   true,
		Validators: append([]validator.Map{
			mapvalidator.ValueMapsAre(mapvalidator.KeysAre(variableName(), attribute.SecretKey()), mapvalidator.NoNullValues()),
		}, additional...),
	}
}

func secretEnvVersionSchema() schema.Attribute {
	return schema.Int64Attribute{
		MarkdownDescription: "Version of `secret_env_wo`. Terraform cannot detect that a write-only value has changed, so increment this number when it has." + " Changing this runs the steps in `secret_env_wo` again.",
		Optional:            true,
		Validators:          []validator.Int64{int64validator.AtLeast(1)},
	}
}

// secretEnv returns the secret environment of each step. It is called on a configuration: plans and states hold no write-only values. Values that are not
// known yet are empty.
func (m workflowRunModel) secretEnv(diags *diag.Diagnostics) map[string]map[string]string {
	steps := m.Steps.Elements()
	env := map[string]map[string]string{}
	for step, value := range m.SecretEnvWO.Elements() {
		if _, found := steps[step]; !found && !m.Steps.IsUnknown() {
			diags.AddAttributeError(path.Root(secretEnvAttribute).AtMapKey(step), "Unknown step",
				fmt.Sprintf("%s has variables for step %q, which is not in steps. The steps are: %s.", secretEnvAttribute, step, quoteNames(slices.Sorted(maps.Keys(steps)))))
			continue
		}
		variables, ok := value.(types.Map)
		if !ok {
			continue // the schema allows nothing else
		}
		env[step] = map[string]string{}
		for name, secret := range variables.Elements() {
			if secret, ok := secret.(types.String); ok {
				env[step][name] = secret.ValueString()
			}
		}
	}
	return env
}
