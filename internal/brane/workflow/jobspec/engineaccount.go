package jobspec

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// EngineAccount is a service account for the engine of one run, with the permissions that it needs and no others.
//
// It is created if the credential that submits the Jobs is not a service account of the namespace, as with the provider's own account, so that no pod can have it.
// The account of a brane_namespace is not used instead: whether there is one, and whether its access is sufficient, could only be found out with more
// permissions than are needed to create this one, and it may change more than the objects of one run.
type EngineAccount struct {
	Account *corev1.ServiceAccount
	Role    *rbacv1.Role
	Binding *rbacv1.RoleBinding // the engine deletes it when the run has ended
}

// BuildEngineAccount returns the service account of the engine with this name. Its objects are deleted together with the owner, the record of the run.
func BuildEngineAccount(ref workflow.Ref, name string, owner metav1.OwnerReference) EngineAccount {
	meta := ref.Meta()
	meta.Name, meta.OwnerReferences = name, []metav1.OwnerReference{owner}
	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	named := func(rule rbacv1.PolicyRule, names ...string) rbacv1.PolicyRule {
		rule.ResourceNames = names
		return rule
	}
	return EngineAccount{
		Account: &corev1.ServiceAccount{ObjectMeta: *meta.DeepCopy(), AutomountServiceAccountToken: new(false)},
		Role: &rbacv1.Role{ObjectMeta: *meta.DeepCopy(), Rules: []rbacv1.PolicyRule{
			rule("batch", "jobs", "create", "get", "list", "watch", "patch", "delete"),
			rule("", "pods", "get", "list", "watch", "delete"),
			rule("", "pods/log", "get"),
			rule("", "events", "list"),
			// Kubernetes cannot limit the creation of objects to names.
			rule("", "configmaps", "create"),
			named(rule("", "configmaps", "get", "update"), ref.ObjectName(), ref.EngineName()),
			rule("", "secrets", "create"),
			named(rule(rbacv1.GroupName, "rolebindings", "delete"), name),
		}},
		Binding: &rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ref.Namespace, Name: name}},
		},
	}
}
