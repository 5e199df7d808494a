// Package namespace manages the namespace in which Brane runs as one unit: the Namespace, a service account, the Role and RoleBinding with the permissions
// that Brane needs, and optionally a quota, a limit range, network policies and Secrets. It creates, compares, updates and deletes these objects.
//
// It does not depend on Terraform, on Brane's configuration files or on short-lived tokens.
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

// ManagedByLabel is the recommended label of Kubernetes that marks the objects of this package. An object in the namespace that has it, is not in the
// Spec any more and belongs to no run is deleted.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = kube.FieldManager
)

// RunLabel is the label of the objects of a workflow run. Those have ManagedByLabel as well, and may be the account of an engine that runs in the
// namespace; they belong to the run and not to a Spec.
const RunLabel = "brane/run"

// ownedSelector selects the objects of this package. The lists of a namespace and those of [NewReader] use it.
const ownedSelector = ManagedByLabel + "=" + ManagedBy + ",!" + RunLabel

// ObjectName is the name of the objects, except for those that have the service account's name.
const ObjectName = "brane"

// AnnotationPrefix is the prefix of the annotations of this package, for example those that store settings.
const AnnotationPrefix = kube.FieldManager + "/"

// Spec is the desired namespace.
type Spec struct {
	Name        string
	UID         string            // of the Namespace that exists; if empty, it may be any. See [ReplacedError]
	Labels      map[string]string // labels of other managers stay
	Annotations map[string]string // likewise
	PodSecurity PodSecurity

	// CommonLabels and CommonAnnotations are set on all objects, the Namespace included; more specific ones take precedence.
	CommonLabels, CommonAnnotations map[string]string

	ServiceAccount     string            // also the name of the Role and of the RoleBinding
	AccountLabels      map[string]string // labels of other managers stay
	AccountAnnotations map[string]string
	PullSecrets        []string // pull Secrets of the service account, in addition to that of RegistryCredentials
	LongLivedToken     bool     // create a Secret with a token that does not expire

	Access   Access              // the permissions of the service account, unless Rules is set
	Rules    []rbacv1.PolicyRule // instead of Access
	Subjects []rbacv1.Subject    // subjects that get the same permissions

	ResourceQuota       corev1.ResourceList // no quota if empty
	LimitRange          LimitRange
	Network             *Network
	RegistryCredentials map[string]Registry // by host[:port]

	// Settings belong to the caller and have no meaning in the cluster. They are stored in annotations of the Namespace, so that [Discover] finds them.
	Settings map[string]string
}

// wantedObjects returns all objects; the first is the Namespace.
func (s Spec) wantedObjects() []kube.Object {
	objects := []kube.Object{s.namespaceObject(), s.serviceAccount(), s.roleObject(), s.roleBinding()}
	if len(s.ResourceQuota) > 0 {
		objects = append(objects, &corev1.ResourceQuota{ObjectMeta: s.childMeta(ObjectName), Spec: corev1.ResourceQuotaSpec{Hard: s.ResourceQuota}})
	}
	if !s.LimitRange.isEmpty() {
		objects = append(objects, &corev1.LimitRange{
			ObjectMeta: s.childMeta(ObjectName), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{s.LimitRange.toItem()}},
		})
	}
	for name, policy := range s.Network.wantedPolicies() {
		objects = append(objects, &networkingv1.NetworkPolicy{ObjectMeta: s.childMeta(name), Spec: policy})
	}
	return append(objects, s.wantedSecrets()...)
}

// managedKinds returns the kinds whose objects are listed by label. Secrets are not among them, because few service accounts should have the permission to
// list Secrets: only Secrets of the Spec are read.
func managedKinds() []kube.List {
	return []kube.List{
		&corev1.ServiceAccountList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{},
		&corev1.ResourceQuotaList{}, &corev1.LimitRangeList{}, &networkingv1.NetworkPolicyList{},
	}
}

func (s Spec) namespaceObject() *corev1.Namespace {
	// No label of the caller may weaken what the Spec requires, or hide the namespace.
	labels := mergeMaps(s.CommonLabels, s.Labels, s.PodSecurity.toLabels(), map[string]string{ManagedByLabel: ManagedBy})
	annotations := mergeMaps(s.CommonAnnotations, s.Annotations)
	for key, value := range s.Settings {
		annotations[AnnotationPrefix+key] = value
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Name, Labels: labels, Annotations: annotations}}
}

func (s Spec) serviceAccount() *corev1.ServiceAccount {
	// The service account is for the client that creates Jobs, not for the pods.
	mount := false
	account := &corev1.ServiceAccount{ObjectMeta: s.childMeta(s.ServiceAccount), AutomountServiceAccountToken: &mount}
	account.Labels = mergeMaps(s.CommonLabels, s.AccountLabels, map[string]string{ManagedByLabel: ManagedBy})
	account.Annotations = mergeMaps(s.CommonAnnotations, s.AccountAnnotations)
	names := slices.Sorted(slices.Values(s.PullSecrets))
	if len(s.RegistryCredentials) > 0 {
		names = append(names, pullSecretName)
	}
	for _, name := range names {
		account.ImagePullSecrets = append(account.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return account
}

func (s Spec) roleObject() *rbacv1.Role {
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
	return metav1.ObjectMeta{
		Namespace: s.Name, Name: name,
		Labels: mergeMaps(s.CommonLabels, map[string]string{ManagedByLabel: ManagedBy}), Annotations: mergeMaps(s.CommonAnnotations),
	}
}

// mergeMaps returns the entries of all maps; later maps take precedence.
func mergeMaps(all ...map[string]string) map[string]string {
	merged := map[string]string{}
	for _, entries := range all {
		maps.Copy(merged, entries)
	}
	return merged
}
