package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// The settings of the resource that mean nothing to the cluster, as they are kept with the namespace: an import finds them, and the plan after it is empty.
const (
	protectionSetting = "deletion-protection"
	policySetting     = "deletion-policy"
	timeoutSetting    = "timeout-" // and the operation
)

// settings are those that are not as they are by default.
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

// takeSettings is the other direction.
func (m *namespaceModel) takeSettings(ctx context.Context, settings map[string]string, diags *diag.Diagnostics) {
	m.DeletionProtection = types.BoolValue(settings[protectionSetting] == "true")
	m.DeletionPolicy = types.StringValue(policyDelete)
	if settings[policySetting] == policyRetain {
		m.DeletionPolicy = types.StringValue(policyRetain)
	}
	operations := m.Timeouts.AttributeTypes(ctx)
	limits, set := map[string]attr.Value{}, false
	for operation := range operations {
		limit := text(settings[timeoutSetting+operation])
		limits[operation], set = limit, set || !limit.IsNull()
	}
	if set {
		object, found := types.ObjectValue(operations, limits)
		diags.Append(found...)
		m.Timeouts = timeouts.Value{Object: object}
	}
}
