package namespace

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// Settings of the resource that only Terraform uses. They are stored in annotations of the Namespace, so that an import finds them and the next plan is empty.
const (
	protectionSetting = "deletion-protection"
	policySetting     = "deletion-policy"
	timeoutSetting    = "timeout-" // and the operation
)

// settings returns the settings that differ from their defaults.
func (m namespaceModel) settings() map[string]string {
	settings := map[string]string{}
	if m.DeletionProtection.ValueBool() {
		settings[protectionSetting] = "true"
	}
	if policy := m.DeletionPolicy.ValueString(); policy != "" && policy != policyDelete {
		settings[policySetting] = policy
	}
	for operation, value := range m.Timeouts.Attributes() {
		if limit, ok := value.(types.String); ok && limit.ValueString() != "" {
			settings[timeoutSetting+operation] = limit.ValueString()
		}
	}
	return settings
}

// takeSettings sets the attributes from stored settings.
func (m *namespaceModel) takeSettings(ctx context.Context, settings map[string]string, diags *diag.Diagnostics) {
	m.DeletionProtection = types.BoolValue(settings[protectionSetting] == "true")
	m.DeletionPolicy = types.StringValue(policyDelete)
	if settings[policySetting] == policyRetain {
		m.DeletionPolicy = types.StringValue(policyRetain)
	}
	operations := m.Timeouts.AttributeTypes(ctx)
	limits, set := map[string]attr.Value{}, false
	for operation := range operations {
		limit := attribute.StringOrNull(settings[timeoutSetting+operation])
		limits[operation], set = limit, set || !limit.IsNull()
	}
	if set {
		object, found := types.ObjectValue(operations, limits)
		diags.Append(found...)
		m.Timeouts = timeouts.Value{Object: object}
	}
}
