package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
)

type namespaceModel struct {
	Name           types.String   `tfsdk:"name"`
	Cluster        types.String   `tfsdk:"cluster"`
	Labels         types.Map      `tfsdk:"labels"`
	Annotations    types.Map      `tfsdk:"annotations"`
	Access         types.String   `tfsdk:"access"`
	ServiceAccount types.Object   `tfsdk:"service_account"`
	UID            types.String   `tfsdk:"uid"`
	Drift          types.List     `tfsdk:"drift"`
	Timeouts       timeouts.Value `tfsdk:"timeouts"`
}

type serviceAccountModel struct {
	Name types.String `tfsdk:"name"`
}

var serviceAccountTypes = map[string]attr.Type{"name": types.StringType}

// spec is the wanted namespace.
func (m namespaceModel) spec(ctx context.Context) (namespace.Spec, diag.Diagnostics) {
	var diags diag.Diagnostics
	spec := namespace.Spec{Name: m.Name.ValueString(), Access: namespace.Access(m.Access.ValueString())}
	var account serviceAccountModel
	diags.Append(m.ServiceAccount.As(ctx, &account, basetypes.ObjectAsOptions{})...)
	spec.ServiceAccount = account.Name.ValueString()
	diags.Append(m.Labels.ElementsAs(ctx, &spec.Labels, false)...)
	diags.Append(m.Annotations.ElementsAs(ctx, &spec.Annotations, false)...)
	return spec, diags
}

// adopt takes over what an imported namespace has of ours.
func (m *namespaceModel) adopt(ctx context.Context, spec namespace.Spec) diag.Diagnostics {
	m.Access = types.StringValue(string(spec.Access))
	m.ServiceAccount = types.ObjectValueMust(serviceAccountTypes, map[string]attr.Value{"name": types.StringValue(spec.ServiceAccount)})
	var diags diag.Diagnostics
	m.Labels, m.Annotations = ownMap(ctx, spec.Labels, &diags), ownMap(ctx, spec.Annotations, &diags)
	return diags
}

// refresh takes over what the cluster has. Labels and annotations that others added stay out.
func (m *namespaceModel) refresh(ctx context.Context, state namespace.State) diag.Diagnostics {
	var diags diag.Diagnostics
	m.UID = types.StringValue(state.UID)
	m.Labels = keepOurs(ctx, m.Labels, state.Labels, &diags)
	m.Annotations = keepOurs(ctx, m.Annotations, state.Annotations, &diags)
	m.Drift = drift(state.Drift)
	return diags
}

// keepOurs is what became of the keys that we have set.
func keepOurs(ctx context.Context, ours types.Map, live map[string]string, diags *diag.Diagnostics) types.Map {
	if ours.IsNull() {
		return ours
	}
	kept := map[string]string{}
	for key := range ours.Elements() {
		if value, ok := live[key]; ok {
			kept[key] = value
		}
	}
	value, found := types.MapValueFrom(ctx, types.StringType, kept)
	diags.Append(found...)
	return value
}

// ownMap is a map of text, null when it is empty.
func ownMap(ctx context.Context, from map[string]string, diags *diag.Diagnostics) types.Map {
	if len(from) == 0 {
		return types.MapNull(types.StringType)
	}
	value, found := types.MapValueFrom(ctx, types.StringType, from)
	diags.Append(found...)
	return value
}
