// Package namespace is the namespace in which Brane runs, as one thing: the Namespace, a service account, the Role and RoleBinding that let the account
// do there what Brane needs and nothing more, and where asked quota, limits, network policies and Secrets. It says which objects these are, makes them,
// compares and deletes them.
//
// It knows nothing of Terraform, of Brane's configuration files and of short-lived tokens.
package namespace

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ManagedByLabel marks the objects that we made (Kubernetes' recommended labels). An object in the namespace that bears it and that is not wanted any more
// is deleted.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = kube.FieldManager
)

// ObjectName is the name of the objects of which a namespace has one, but for those that bear the service account's name.
const ObjectName = "brane"

// settingPrefix is of the annotations in which settings are kept.
const settingPrefix = kube.FieldManager + "/"

// Spec is the wanted namespace.
type Spec struct {
	Name        string
	Labels      map[string]string // ours; labels of others stay
	Annotations map[string]string // likewise
	PodSecurity PodSecurity

	ServiceAccount     string            // also the name of the Role and of the RoleBinding
	AccountLabels      map[string]string // ours, beside those of others
	AccountAnnotations map[string]string
	PullSecrets        []string // Secrets that the account's pods pull images with, beside the one of RegistryCredentials
	LongLivedToken     bool     // keep a token that does not expire in a Secret

	Access   Access              // what the account may do, where Rules says nothing
	Rules    []rbacv1.PolicyRule // instead of Access
	Subjects []rbacv1.Subject    // who else may do it

	ResourceQuota       corev1.ResourceList // no quota where empty
	LimitRange          LimitRange
	Network             *Network
	RegistryCredentials map[string]Registry // by host[:port]

	// Settings are the front end's own, which mean nothing to the cluster. They are kept with the Namespace, so that [Discover] finds them.
	Settings map[string]string
}

// objects are the namespace's parts; the first is the Namespace itself.
func (s Spec) objects() []kube.Object {
	objects := []kube.Object{s.namespace(), s.serviceAccount(), s.role(), s.roleBinding()}
	if len(s.ResourceQuota) > 0 {
		objects = append(objects, &corev1.ResourceQuota{ObjectMeta: s.childMeta(ObjectName), Spec: corev1.ResourceQuotaSpec{Hard: s.ResourceQuota}})
	}
	if !s.LimitRange.isEmpty() {
		objects = append(objects, &corev1.LimitRange{
			ObjectMeta: s.childMeta(ObjectName), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{s.LimitRange.item()}},
		})
	}
	for name, policy := range s.Network.policies() {
		objects = append(objects, &networkingv1.NetworkPolicy{ObjectMeta: s.childMeta(name), Spec: policy})
	}
	return append(objects, s.secrets()...)
}

// kinds are the kinds of which objects that bear our label are ours, wanted or not. Secrets are not among them: to list them is a right that few should
// have, so of Secrets only those are looked at that are wanted.
func kinds() []kube.List {
	return []kube.List{
		&corev1.ServiceAccountList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{},
		&corev1.ResourceQuotaList{}, &corev1.LimitRangeList{}, &networkingv1.NetworkPolicyList{},
	}
}

func (s Spec) namespace() *corev1.Namespace {
	labels := map[string]string{ManagedByLabel: ManagedBy}
	maps.Copy(labels, s.PodSecurity.labels())
	maps.Copy(labels, s.Labels)
	annotations := maps.Clone(s.Annotations)
	for key, value := range s.Settings {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[settingPrefix+key] = value
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Name, Labels: labels, Annotations: annotations}}
}

func (s Spec) serviceAccount() *corev1.ServiceAccount {
	// No pod mounts this token by default: the service account is for the client that submits Jobs, not for the Jobs.
	mount := false
	account := &corev1.ServiceAccount{ObjectMeta: s.childMeta(s.ServiceAccount), AutomountServiceAccountToken: &mount}
	maps.Copy(account.Labels, s.AccountLabels)
	account.Annotations = s.AccountAnnotations
	names := slices.Sorted(slices.Values(s.PullSecrets))
	if len(s.RegistryCredentials) > 0 {
		names = append(names, pullSecretName)
	}
	for _, name := range names {
		account.ImagePullSecrets = append(account.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return account
}

func (s Spec) role() *rbacv1.Role {
	rules := s.Rules
	if len(rules) == 0 {
		rules = s.Access.Rules()
	}
	return &rbacv1.Role{ObjectMeta: s.childMeta(s.ServiceAccount), Rules: rules}
}

func (s Spec) roleBinding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: s.childMeta(s.ServiceAccount),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: s.ServiceAccount},
		Subjects:   append([]rbacv1.Subject{s.accountSubject()}, s.Subjects...),
	}
}

func (s Spec) accountSubject() rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: s.ServiceAccount, Namespace: s.Name}
}

func (s Spec) childMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.Name, Name: name, Labels: map[string]string{ManagedByLabel: ManagedBy}}
}
