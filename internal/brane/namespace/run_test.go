package namespace_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// objectReader reads a namespace with these objects, without a cluster.
type objectReader []kube.Object

func (r objectReader) Get(_ context.Context, object kube.Object) error {
	if ns, ok := object.(*corev1.Namespace); ok {
		ns.UID = "live"
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{}, object.GetName())
}

func (r objectReader) List(_ context.Context, list kube.List, _, selector string) error {
	wanted, err := labels.Parse(selector)
	if err != nil {
		return err
	}
	var items []runtime.Object
	for _, object := range r {
		if kube.Kind(object) == kube.Kind(list) && wanted.Matches(labels.Set(object.GetLabels())) {
			items = append(items, object)
		}
	}
	return meta.SetList(list, items)
}

// TestEnginesAreNotOurs checks that the account of an engine in the namespace, which has our label as well, is neither drift nor taken for that of the
// namespace in an import.
func TestEnginesAreNotOurs(t *testing.T) {
	engine := jobspec.BuildEngineAccount(workflow.Ref{ID: "nightly-1", Namespace: "ns"}, "brane-nightly-1-engine-1", metav1.OwnerReference{})
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "runner", Labels: map[string]string{namespace.ManagedByLabel: namespace.ManagedBy}}}
	reader := objectReader{engine.Account, engine.Role, engine.Binding, role}

	state, err := namespace.Read(t.Context(), reader, namespace.Spec{Name: "ns", ServiceAccount: "brane", Access: namespace.AccessRun})
	want := []string{
		`Namespace "ns" has different labels: app.kubernetes.io/managed-by`,
		`ServiceAccount "brane" is missing`, `Role "brane" is missing`, `RoleBinding "brane" is missing`,
		`Role "runner" is no longer configured`,
	}
	if err != nil || !slices.Equal(state.Drift, want) {
		t.Errorf("drift %q, %v\nwant  %q", state.Drift, err, want)
	}
	if namespace.RunLabel != workflow.RunLabel {
		t.Errorf("the label of runs is %s, want %s", namespace.RunLabel, workflow.RunLabel)
	}
	if found, err := namespace.Discover(t.Context(), reader, "ns", "brane"); err != nil || found.ServiceAccount != "runner" {
		t.Errorf("found the service account %q, %v, want runner", found.ServiceAccount, err)
	}
}

// TestReplacedNamespace checks that a Namespace with another UID and without our label counts as one that does not exist.
func TestReplacedNamespace(t *testing.T) {
	spec := namespace.Spec{Name: "ns", UID: "ours", ServiceAccount: "brane", Access: namespace.AccessRun}
	var replaced *namespace.ReplacedError
	if _, err := namespace.Read(t.Context(), objectReader{}, spec); !errors.As(err, &replaced) || !errors.Is(err, namespace.ErrGone) || replaced.UID != "live" {
		t.Errorf("got %v, want that the namespace was replaced", err)
	}
	spec.UID = "live"
	if _, err := namespace.Read(t.Context(), objectReader{}, spec); err != nil {
		t.Error(err)
	}
}
