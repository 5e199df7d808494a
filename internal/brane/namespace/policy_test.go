package namespace_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// object is a JSON object.
type object = map[string]any

// policy is an admission policy of the cluster for the objects of one test. applies and requires are expressions in CEL.
type policy struct {
	name, group, resource, applies, requires, message string
}

// enforce creates the policy until the test ends, and waits until the API server refuses the probe.
func (p policy) enforce(t *testing.T, c *kube.Client, probe kube.Object) (remove func()) {
	t.Helper()
	kubectl := func(stdin string, args ...string) {
		t.Helper()
		command := exec.CommandContext(context.Background(), "kubectl", append([]string{"--kubeconfig", clustertest.Getenv(t, "KUBECONFIG")}, args...)...)
		command.Stdin = strings.NewReader(stdin)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	spec := object{
		"failurePolicy": "Fail",
		"matchConstraints": object{"resourceRules": []object{{
			"apiGroups": []string{p.group}, "apiVersions": []string{"v1"}, "resources": []string{p.resource}, "operations": []string{"CREATE", "UPDATE"},
		}}},
		"matchConditions": []object{{"name": "of-this-test", "expression": p.applies}},
		"validations":     []object{{"expression": p.requires, "message": p.message, "reason": "Forbidden"}},
	}
	const version = "admissionregistration.k8s.io/v1"
	list, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": []object{
		{"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": object{"name": p.name}, "spec": spec},
		{
			"apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": object{"name": p.name},
			"spec": object{"policyName": p.name, "validationActions": []string{"Deny"}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(string(list), "create", "-f", "-")
	remove = func() {
		kubectl("", "delete", "--ignore-not-found", "validatingadmissionpolicybinding/"+p.name, "validatingadmissionpolicy/"+p.name)
	}
	t.Cleanup(remove)
	p.await(t, c, probe, func(err error) bool { return err != nil && strings.Contains(err.Error(), p.message) })
	return remove
}

// await waits until a dry run of the probe has the result.
func (p policy) await(t *testing.T, c *kube.Client, probe kube.Object, isDone func(error) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		return isDone(c.DryRunApply(ctx, probe)), nil
	})
	if err != nil {
		t.Fatalf("waiting for the policy %s: %v", p.name, err)
	}
}

// TestCreateSatisfiesPolicies checks that the first request for each object has all labels and annotations, and that they can be removed
// later.
func TestCreateSatisfiesPolicies(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := fullest()
	spec.Labels, spec.Annotations = map[string]string{"example.org/team": "imaging"}, map[string]string{"example.org/cost": "4711"}
	spec.PodSecurity = namespace.PodSecurity{Enforce: "restricted"}
	cleanUp(t, c, spec.Name)
	demand := policy{
		spec.Name, "", "namespaces", "object.metadata.name.startsWith('" + spec.Name + "')",
		"'example.org/team' in object.metadata.?labels.orValue({}) && 'example.org/cost' in object.metadata.?annotations.orValue({}) && " +
			"object.metadata.labels['pod-security.kubernetes.io/enforce'] == 'restricted' && object.metadata.labels['app.kubernetes.io/managed-by'] == 'terraform-provider-brane'",
		"every namespace needs its labels",
	}
	probe := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name + "-probe"}}
	remove := demand.enforce(t, c, probe)
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
	demand.await(t, c, probe, func(err error) bool { return err == nil })
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
	refuse := policy{
		spec.Name, "networking.k8s.io", "networkpolicies", "request.namespace.startsWith('" + spec.Name + "')",
		"!object.metadata.name.contains('ingress')", "no team opens its namespace",
	}
	refuse.enforce(t, c, probe)

	state, err := namespace.Create(t.Context(), c, spec, false)
	if err == nil || state.UID != "" {
		t.Fatalf("got %v and UID %q, want a refusal and nothing", err, state.UID)
	}
	for _, part := range []string{`apply NetworkPolicy "brane-ingress-scrape" in namespace "` + spec.Name + `"`, refuse.message, "the new namespace was deleted again, so that nothing is left"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q, without %q", err, part)
		}
	}
	if err := c.Get(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace is still there: %v", err)
	}

	want := fullest()
	want.Name, want.RegistryCredentials = place.Name, nil
	if _, err := namespace.Apply(t.Context(), c, place, want); err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), refuse.message) {
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
