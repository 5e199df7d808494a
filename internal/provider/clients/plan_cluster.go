package clients

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// PlanCluster adds an error to a plan if the provider block does not have the cluster. If the CLI supports it, a resource in a cluster that is not known yet is
// deferred.
func (c *Clients) PlanCluster(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || c == nil {
		return // destroy, or validation without a configured provider
	}
	at := path.Root("cluster")
	var name types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, at, &name)...)
	_, err := c.Kubernetes(name)
	var none *NoClusterError
	switch {
	case errors.As(err, &none):
		resp.Diagnostics.AddAttributeError(at, "Unknown cluster", diagnostic.ErrorDetail("Looking for the cluster", err))
	case errors.Is(err, ErrNotKnown) && req.ClientCapabilities.DeferralAllowed:
		resp.Deferred = &resource.Deferred{Reason: resource.DeferredReasonProviderConfigUnknown}
	}
}
