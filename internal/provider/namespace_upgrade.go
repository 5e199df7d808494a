package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// namespaceModelV0 is the state as version 0 of the schema had it.
type namespaceModelV0 struct {
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

// UpgradeState gives what version 1 added the values of its defaults, so that an upgrade of the provider plans nothing.
func (r *namespaceResource) UpgradeState(ctx context.Context) map[int64]resource.StateUpgrader {
	v0 := schema.Schema{Attributes: map[string]schema.Attribute{
		"name":        schema.StringAttribute{Required: true},
		"cluster":     schema.StringAttribute{Optional: true},
		"labels":      schema.MapAttribute{ElementType: types.StringType, Optional: true},
		"annotations": schema.MapAttribute{ElementType: types.StringType, Optional: true},
		"access":      schema.StringAttribute{Optional: true, Computed: true},
		"service_account": schema.SingleNestedAttribute{
			Optional: true, Computed: true, Attributes: map[string]schema.Attribute{"name": schema.StringAttribute{Optional: true, Computed: true}},
		},
		"uid":      schema.StringAttribute{Computed: true},
		"drift":    schema.ListAttribute{ElementType: types.StringType, Computed: true},
		"timeouts": timeoutsAttribute(ctx, namespaceTimeout),
	}}
	return map[int64]resource.StateUpgrader{0: {PriorSchema: &v0, StateUpgrader: upgradeNamespaceV0}}
}

func upgradeNamespaceV0(ctx context.Context, req resource.UpgradeStateRequest, resp *resource.UpgradeStateResponse) {
	var old namespaceModelV0
	var account struct {
		Name types.String `tfsdk:"name"`
	}
	resp.Diagnostics.Append(req.State.Get(ctx, &old)...)
	decode(ctx, old.ServiceAccount, &account, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	null := types.MapNull(types.StringType)
	resp.Diagnostics.Append(resp.State.Set(ctx, namespaceModel{
		Name: old.Name, Cluster: old.Cluster, Labels: old.Labels, Annotations: old.Annotations, Access: old.Access, UID: old.UID, Drift: old.Drift, Timeouts: old.Timeouts,
		ServiceAccount:     &serviceAccountModel{Name: account.Name, Labels: null, Annotations: null, TokenSecret: types.BoolValue(false)},
		DeletionProtection: types.BoolValue(false),
		OnDestroy:          types.StringValue(destroyDeletes),
	})...)
}
