package namespace

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// describeDrift returns a sentence about how an object differs, or nothing; live is nil if the object does not exist.
func (now *inventory) describeDrift(spec Spec, want, live kube.Object) string {
	if problem := now.tokenProblem(spec, live); problem != "" {
		return fmt.Sprintf("%s contains %s", objectKey(live), problem)
	}
	if ns, ok := live.(*corev1.Namespace); ok && isUnfinished(ns) {
		return objectKey(ns) + " is not complete"
	}
	return describeDrift(want, live)
}

// describeDrift compares one object with want.
func describeDrift(want, live kube.Object) string {
	name := fmt.Sprintf("%s %q", kube.Kind(want), want.GetName())
	switch {
	case live == nil:
		return name + " is missing"
	case live.GetDeletionTimestamp() != nil:
		return name + " is being deleted"
	}
	if field := findDifference(want, live); field != "" {
		return fmt.Sprintf("%s has different %s", name, field)
	}
	return ""
}

// findDifference returns the name of the first field in which live differs from want. It ignores fields of other managers.
func findDifference(want, live kube.Object) string {
	if field := findContentDifference(want, live); field != "" {
		return field
	}
	own := ownFields(live)
	switch {
	case !matchesOwned(want.GetLabels(), live.GetLabels(), own.ownedKeys("f:metadata", "f:labels")):
		return "labels"
	case !matchesOwned(want.GetAnnotations(), live.GetAnnotations(), own.ownedKeys("f:metadata", "f:annotations")):
		return "annotations"
	default:
		return ""
	}
}

// matchesOwned reports whether live has the entries of want, and no other entries that this package owns.
func matchesOwned(want, live map[string]string, own []string) bool {
	for key, value := range want {
		if got, ok := live[key]; !ok || got != value {
			return false
		}
	}
	return !slices.ContainsFunc(own, func(key string) bool {
		_, wanted := want[key]
		return !wanted
	})
}

func findContentDifference(want, live kube.Object) string {
	switch want := want.(type) {
	case *corev1.ServiceAccount:
		return accountDifference(want, castLike(want, live))
	case *rbacv1.Role:
		if !sameRules(want.Rules, castLike(want, live).Rules) {
			return "rules"
		}
	case *rbacv1.RoleBinding:
		live := castLike(want, live)
		if want.RoleRef != live.RoleRef {
			return "roleRef"
		}
		if !sameSubjects(want.Subjects, live.Subjects) {
			return "subjects"
		}
	case *corev1.ResourceQuota:
		if !sameQuota(want, castLike(want, live)) {
			return "hard limits"
		}
	case *corev1.LimitRange:
		if !equality.Semantic.DeepEqual(want.Spec.Limits, castLike(want, live).Spec.Limits) {
			return "limits"
		}
	case *networkingv1.NetworkPolicy:
		spec := castLike(want, live).Spec.DeepCopy()
		sortPolicy(spec)
		wanted := want.Spec.DeepCopy()
		sortPolicy(wanted)
		if !equality.Semantic.DeepEqual(wanted, spec) {
			return "rules"
		}
	case *corev1.Secret:
		return secretDifference(want, castLike(want, live))
	}
	return ""
}

// castLike returns live with the type of want; both have the same kind.
func castLike[T kube.Object](_ T, live kube.Object) T {
	t, ok := live.(T)
	if !ok {
		panic(fmt.Sprintf("%T compared with another kind", live))
	}
	return t
}

func accountDifference(want, live *corev1.ServiceAccount) string {
	if live.AutomountServiceAccountToken == nil || *live.AutomountServiceAccountToken != *want.AutomountServiceAccountToken {
		return "automountServiceAccountToken"
	}
	names := func(refs []corev1.LocalObjectReference) map[string]string {
		set := map[string]string{}
		for _, ref := range refs {
			set[ref.Name] = ""
		}
		return set
	}
	// Some clusters add a pull Secret to every service account. They own the list then, with our entries in it.
	var own []string
	if ownsField(live, "f:imagePullSecrets") {
		own = slices.Collect(maps.Keys(names(live.ImagePullSecrets)))
	}
	if !matchesOwned(names(want.ImagePullSecrets), names(live.ImagePullSecrets), own) {
		return "imagePullSecrets"
	}
	return ""
}

func secretDifference(want, live *corev1.Secret) string {
	switch {
	case want.Type != live.Type:
		return "type"
	case want.Type == corev1.SecretTypeDockerConfigJson && (!sameRegistries(want, live) || !ownsField(live, "f:data", "f:"+corev1.DockerConfigJsonKey)):
		return "credentials"
	default:
		return ""
	}
}

// sameQuota ignores limits of other managers.
func sameQuota(want, live *corev1.ResourceQuota) bool {
	for name, value := range want.Spec.Hard {
		if got, ok := live.Spec.Hard[name]; !ok || got.Cmp(value) != 0 {
			return false
		}
	}
	for _, name := range ownFields(live).ownedKeys("f:spec", "f:hard") {
		if _, ok := want.Spec.Hard[corev1.ResourceName(name)]; !ok {
			return false
		}
	}
	return true
}

func sameSubjects(a, b []rbacv1.Subject) bool {
	keys := func(subjects []rbacv1.Subject) []string {
		var keys []string
		for _, s := range subjects {
			keys = append(keys, s.String())
		}
		slices.Sort(keys)
		return slices.Compact(keys)
	}
	return slices.Equal(keys(a), keys(b))
}

// namespaceDrift returns how the Namespace differs, except for the labels and annotations that are shown elsewhere: those of the Spec are in [State].
// A setting without an annotation is not drift, because namespaces of earlier versions have none.
func (s Spec) namespaceDrift(live *corev1.Namespace, shownLabels, shownAnnotations map[string]string) []string {
	want := s.namespaceObject()
	own := ownFields(live).subtreeAt("f:metadata")
	var found []string
	for _, m := range []struct {
		field             string
		want, live, shown map[string]string
	}{{"labels", want.Labels, live.Labels, shownLabels}, {"annotations", want.Annotations, live.Annotations, shownAnnotations}} {
		var other []string
		for key, value := range m.want {
			got, there := m.live[key]
			_, shown := m.shown[key]
			if unkept := !there && strings.HasPrefix(key, AnnotationPrefix); !shown && !unkept && (!there || got != value) {
				other = append(other, key)
			}
		}
		for _, key := range own.ownedKeys("f:" + m.field) {
			if _, wanted := m.want[key]; !wanted {
				other = append(other, key) // set by an earlier Apply
			}
		}
		if len(other) > 0 {
			slices.Sort(other)
			found = append(found, fmt.Sprintf("Namespace %q has different %s: %s", s.Name, m.field, strings.Join(other, ", ")))
		}
	}
	return found
}
