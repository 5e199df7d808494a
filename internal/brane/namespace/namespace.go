// Package namespace is the namespace in which Brane runs, as one thing: the Namespace, a service account, and the Role and RoleBinding
// that let the account do there what Brane needs and nothing more. It says which objects these are, makes them, compares and deletes them.
//
// It knows nothing of Terraform, of Brane's configuration files and of tokens.
package namespace

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ManagedByLabel marks the objects that we made (Kubernetes' recommended labels).
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = kube.FieldManager
)

// Spec is the wanted namespace.
type Spec struct {
	Name           string
	Labels         map[string]string // ours; labels of others stay
	Annotations    map[string]string // likewise
	ServiceAccount string            // also the name of the Role and of the RoleBinding
	Access         Access
}

// objects are the namespace's parts in the order in which they are made; the first is the Namespace itself.
func (s Spec) objects() []kube.Object {
	return []kube.Object{s.namespace(), s.serviceAccount(), s.role(), s.roleBinding()}
}

func (s Spec) namespace() *corev1.Namespace {
	labels := map[string]string{ManagedByLabel: ManagedBy}
	maps.Copy(labels, s.Labels)
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Name, Labels: labels, Annotations: s.Annotations}}
}

func (s Spec) serviceAccount() *corev1.ServiceAccount {
	// No pod gets this token by itself: the account is for whoever submits, not for what runs.
	mount := false
	return &corev1.ServiceAccount{ObjectMeta: s.child(), AutomountServiceAccountToken: &mount}
}

func (s Spec) role() *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: s.child(), Rules: s.Access.Rules()}
}

func (s Spec) roleBinding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: s.child(),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: s.ServiceAccount},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: s.ServiceAccount, Namespace: s.Name}},
	}
}

func (s Spec) child() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.Name, Name: s.ServiceAccount, Labels: map[string]string{ManagedByLabel: ManagedBy}}
}
