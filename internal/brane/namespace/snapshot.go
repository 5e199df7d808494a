package namespace

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// NewReader returns a [Reader] for many namespaces. It reads Secrets one by one, because few service accounts should have the permission to list them.
func NewReader(c *kube.Client) (Reader, error) {
	return kube.NewSnapshot(c, ownedSelector,
		&corev1.NamespaceList{}, &corev1.ServiceAccountList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{},
		&corev1.ResourceQuotaList{}, &corev1.LimitRangeList{}, &networkingv1.NetworkPolicyList{})
}
