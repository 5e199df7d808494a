package namespace

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Discover reads the Spec of a namespace from its objects, without passwords. For a namespace that is not managed by this package it is the default
// access for the service account of the given name. The error is [ErrGone] if the namespace does not exist.
func Discover(ctx context.Context, r Reader, name, account string) (Spec, error) {
	spec := Spec{Name: name, ServiceAccount: account, Access: AccessRun}
	now, err := readInventory(ctx, r, spec)
	if err != nil {
		return spec, err
	}
	own := ownFields(now.namespace).subtreeAt("f:metadata")
	spec.Labels = selectKeys(now.namespace.Labels, own.ownedKeys("f:labels"))
	spec.Annotations = selectKeys(now.namespace.Annotations, own.ownedKeys("f:annotations"))
	delete(spec.Labels, ManagedByLabel)
	spec.PodSecurity = takePodSecurity(spec.Labels)
	spec.Settings = takeSettings(spec.Annotations)

	if roles := listOwned[*rbacv1.Role](now); len(roles) > 0 {
		spec.ServiceAccount = roles[0].Name
		spec.takeCommon(roles[0])
		spec.Access, spec.Rules = accessOf(roles[0].Rules)
	}
	if bindings := listOwned[*rbacv1.RoleBinding](now); len(bindings) > 0 {
		for _, subject := range bindings[0].Subjects {
			if subject != spec.accountSubject() {
				spec.Subjects = append(spec.Subjects, subject)
			}
		}
	}
	if accounts := listOwned[*corev1.ServiceAccount](now); len(accounts) > 0 {
		spec.takeAccount(accounts[0])
	}
	for _, quota := range listOwned[*corev1.ResourceQuota](now) {
		spec.ResourceQuota = selectKeys(quota.Spec.Hard, ownFields(quota).ownedKeys("f:spec", "f:hard"))
	}
	for _, limits := range listOwned[*corev1.LimitRange](now) {
		if len(limits.Spec.Limits) == 1 {
			spec.LimitRange = limitsOf(limits.Spec.Limits[0])
		}
	}
	spec.Network = networkOf(listOwned[*networkingv1.NetworkPolicy](now))
	return spec, spec.takeSecrets(ctx, r)
}

// takeCommon sets the common labels and annotations: a Role has no others. Those of the Namespace and of the service account are then only
// what differs.
func (s *Spec) takeCommon(role *rbacv1.Role) {
	own := ownFields(role).subtreeAt("f:metadata")
	s.CommonLabels = selectKeys(role.Labels, own.ownedKeys("f:labels"))
	s.CommonAnnotations = selectKeys(role.Annotations, own.ownedKeys("f:annotations"))
	delete(s.CommonLabels, ManagedByLabel)
	removeEntries(s.Labels, s.CommonLabels)
	removeEntries(s.Annotations, s.CommonAnnotations)
}

// removeEntries removes the entries that another map has as well.
func removeEntries(from, common map[string]string) {
	maps.DeleteFunc(from, func(key, value string) bool {
		same, there := common[key]
		return there && same == value
	})
}

// takeSettings removes the settings from annotations and returns them.
func takeSettings(annotations map[string]string) map[string]string {
	settings := map[string]string{}
	for key, value := range annotations {
		if name, ok := strings.CutPrefix(key, AnnotationPrefix); ok {
			delete(annotations, key)
			if key != unfinishedAnnotation {
				settings[name] = value
			}
		}
	}
	return settings
}

// listOwned returns the objects of one kind that have our label, sorted by name.
func listOwned[T kube.Object](now *inventory) []T {
	var found []T
	for _, object := range now.children {
		if t, ok := object.(T); ok && t.GetLabels()[ManagedByLabel] == ManagedBy {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
	return found
}

func accessOf(rules []rbacv1.PolicyRule) (Access, []rbacv1.PolicyRule) {
	for _, access := range Accesses() {
		if sameRules(rules, Access(access).Rules()) {
			return Access(access), nil
		}
	}
	return "", rules
}

func (s *Spec) takeAccount(account *corev1.ServiceAccount) {
	own := ownFields(account).subtreeAt("f:metadata")
	s.AccountLabels = selectKeys(account.Labels, own.ownedKeys("f:labels"))
	delete(s.AccountLabels, ManagedByLabel)
	s.AccountAnnotations = selectKeys(account.Annotations, own.ownedKeys("f:annotations"))
	removeEntries(s.AccountLabels, s.CommonLabels)
	removeEntries(s.AccountAnnotations, s.CommonAnnotations)
	if ownsField(account, "f:imagePullSecrets") {
		for _, ref := range account.ImagePullSecrets {
			if ref.Name != pullSecretName {
				s.PullSecrets = append(s.PullSecrets, ref.Name)
			}
		}
	}
}

// takeSecrets reads the Secrets that this package creates. A client without the permission to read Secrets has created none.
func (s *Spec) takeSecrets(ctx context.Context, r Reader) error {
	get := func(name string) (*corev1.Secret, error) {
		secret := &corev1.Secret{ObjectMeta: s.childMeta(name)}
		err := r.Get(ctx, secret)
		switch {
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", kube.Describe(secret), err)
		case secret.Labels[ManagedByLabel] != ManagedBy:
			return nil, nil
		}
		return secret, nil
	}
	pull, err := get(pullSecretName)
	if err != nil {
		return err
	}
	s.RegistryCredentials = registriesOf(pull)
	for host, r := range s.RegistryCredentials {
		r.Password = ""
		s.RegistryCredentials[host] = r
	}
	token, err := get(TokenSecret(s.ServiceAccount))
	s.LongLivedToken = token != nil
	return err
}
