package engine

import (
	"cmp"
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// ReadPolicies reads what the namespace allows and demands of containers. Without permission to read that, nothing is known: then the
// agent's and the engine's containers have the usual resources, and the message of a denied pod contains the reason.
func ReadPolicies(ctx context.Context, namespace string, clients Clients) jobspec.Policies {
	ctx, done := context.WithTimeout(ctx, optionalTimeout)
	defer done()
	var policies jobspec.Policies
	var ranges corev1.LimitRangeList
	if listWithAny(ctx, &ranges, namespace, clients) {
		for _, limits := range ranges.Items {
			policies.AddRange(limits)
		}
	}
	var quotas corev1.ResourceQuotaList
	if listWithAny(ctx, &quotas, namespace, clients) {
		for _, quota := range quotas.Items {
			policies.AddQuota(quota)
		}
	}
	return policies
}

// listWithAny lists objects with the first account that has permission. It reports whether there is one.
func listWithAny(ctx context.Context, list kube.List, namespace string, clients Clients) bool {
	return clients.Kube.List(ctx, list, namespace, "") == nil || cmp.Or(clients.Nodes, clients.Kube).List(ctx, list, namespace, "") == nil
}
