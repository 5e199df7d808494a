package namespace_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// TestCreateSatisfiesPolicies checks that the first request for each object has all labels and annotations, and that they can be removed
// later.
func TestCreateSatisfiesPolicies(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := fullest()
	spec.Labels, spec.Annotations = map[string]string{"example.org/team": "imaging"}, map[string]string{"example.org/cost": "4711"}
	spec.PodSecurity = namespace.PodSecurity{Enforce: "restricted"}
	cleanUp(t, c, spec.Name)
	demand := clustertest.Policy{
		Name: spec.Name, Resource: "namespaces", Applies: "object.metadata.name.startsWith('" + spec.Name + "')",
		Requires: "'example.org/team' in object.metadata.?labels.orValue({}) && 'example.org/cost' in object.metadata.?annotations.orValue({}) && " +
			"object.metadata.labels['pod-security.kubernetes.io/enforce'] == 'restricted' && object.metadata.labels['app.kubernetes.io/managed-by'] == 'terraform-provider-brane'",
		Message: "every namespace needs its labels",
	}
	probe := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name + "-probe"}}
	remove := demand.Enforce(t, c, probe)
	if _, err := namespace.Create(t.Context(), c, spec, false); err != nil {
		t.Fatal(err)
	}
	if drift := read(t, c, spec).Drift; len(drift) > 0 {
		t.Errorf("drift %q", drift)
	}
	live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}
	if err := c.Get(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	if mark, there := live.Annotations["terraform-provider-brane/unfinished"]; there {
		t.Errorf("the complete namespace is marked as not complete: %q", mark)
	}
	remove()
	demand.Await(t, c, probe, func(err error) bool { return err == nil })
	before := spec
	spec.Labels, spec.Annotations, spec.PodSecurity = nil, nil, namespace.PodSecurity{}
	spec.CommonLabels, spec.CommonAnnotations = nil, nil
	change(t, c, before, spec)
	got := read(t, c, spec)
	for _, key := range []string{"example.org/team", "pod-security.kubernetes.io/enforce"} {
		if value, there := got.Labels[key]; there {
			t.Errorf("label %s = %q is still there", key, value)
		}
	}
	if len(got.Annotations) > 0 {
		t.Errorf("annotations %v are still there", got.Annotations)
	}
}

// TestRefusedObjects checks that nothing is left of a new namespace if one of its objects is refused, and that nothing of an existing one
// is changed.
func TestRefusedObjects(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := fullest()
	cleanUp(t, c, spec.Name)
	place := smallest()
	place.Name = spec.Name + "-existing"
	create(t, c, place)
	uid := read(t, c, place).UID
	probe := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: place.Name, Name: "brane-ingress-scrape"}}
	refuse := clustertest.Policy{
		Name: spec.Name, Group: "networking.k8s.io", Resource: "networkpolicies", Applies: "request.namespace.startsWith('" + spec.Name + "')",
		Requires: "!object.metadata.name.contains('ingress')", Message: "no team opens its namespace",
	}
	refuse.Enforce(t, c, probe)

	state, err := namespace.Create(t.Context(), c, spec, false)
	if err == nil || state.UID != "" {
		t.Fatalf("got %v and UID %q, want a refusal and nothing", err, state.UID)
	}
	for _, part := range []string{`apply NetworkPolicy "brane-ingress-scrape" in namespace "` + spec.Name + `"`, refuse.Message, "the new namespace was deleted again, so that nothing is left"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q, without %q", err, part)
		}
	}
	if err := c.Get(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace is still there: %v", err)
	}

	want := fullest()
	want.Name, want.RegistryCredentials = place.Name, nil
	if _, err := namespace.Apply(t.Context(), c, place, want); err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), refuse.Message) {
		t.Errorf("got %v, want a refusal", err)
	}
	if got := read(t, c, place); got.UID != uid || len(got.Drift) > 0 {
		t.Errorf("the namespace was changed: %+v", got)
	}
}

// TestNothingIsReplacedByAnInvalidObject checks that an object that has to be deleted to change it stays if its replacement is refused.
func TestNothingIsReplacedByAnInvalidObject(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c, smallest())
	meddle(t, c, spec, edit{&rbacv1.RoleBinding{ObjectMeta: named("runner")}, ""})
	other := &rbacv1.RoleBinding{ObjectMeta: in(spec), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"}}
	if err := c.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	want := spec
	want.Subjects = []rbacv1.Subject{{Kind: "Robot", Name: "x"}}
	if _, err := namespace.Apply(t.Context(), c, spec, want); !apierrors.IsInvalid(err) {
		t.Errorf("got %v, want that the subject is invalid", err)
	}
	live := &rbacv1.RoleBinding{ObjectMeta: in(spec)}
	if err := c.Get(t.Context(), live); err != nil || live.UID != other.UID {
		t.Errorf("the RoleBinding was deleted: %v", err)
	}
}
