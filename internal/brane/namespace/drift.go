package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ErrGone says that the Namespace itself is not there, or is on its way out; everything in it goes with it.
var ErrGone = errors.New("the namespace is gone")

// State is the namespace as the cluster has it.
type State struct {
	UID         string
	Labels      map[string]string // all of them, also those of others
	Annotations map[string]string
	// Drift has a sentence for each child object that is missing or differs from what was wanted, for example
	// `RoleBinding "brane" is missing`; it is empty where all is as wanted.
	Drift []string
}

// Reader is where [Read] looks: in the cluster itself (*kube.Client), or in what was listed there for many reads at once (*kube.Snapshot).
type Reader interface {
	// Get fills obj with the object of its namespace and name; the error is apimachinery's NotFound where there is none.
	Get(ctx context.Context, obj kube.Object) error
	// List fills list with the objects of a namespace that carry the labels.
	List(ctx context.Context, list kube.List, namespace, labels string) error
}

// Read compares the cluster with what was wanted. The error is [ErrGone] when the Namespace is not there; a child object that is missing is drift.
func Read(ctx context.Context, c Reader, want Spec) (State, error) {
	objects := want.objects()
	drift := make([]string, len(objects))
	live := want.namespace()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := c.Get(ctx, live)
		if apierrors.IsNotFound(err) {
			return ErrGone
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", kube.Describe(live), err)
		}
		return nil
	})
	for i, object := range objects[1:] {
		group.Go(func() (err error) {
			drift[i], err = compare(ctx, c, object)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return State{}, err
	}
	if live.Status.Phase == corev1.NamespaceTerminating {
		return State{}, ErrGone
	}
	drift = slices.DeleteFunc(drift, func(s string) bool { return s == "" })
	return State{UID: string(live.UID), Labels: live.Labels, Annotations: live.Annotations, Drift: drift}, nil
}

// compare reads one child object and says how it differs, or nothing.
func compare(ctx context.Context, c Reader, want kube.Object) (string, error) {
	live, ok := want.DeepCopyObject().(kube.Object)
	if !ok {
		return "", fmt.Errorf("copy %s: not an API object", kube.Describe(want))
	}
	name := fmt.Sprintf("%s %q", kube.Kind(want), want.GetName())
	err := c.Get(ctx, live)
	switch {
	case apierrors.IsNotFound(err):
		return name + " is missing", nil
	case err != nil:
		return "", fmt.Errorf("read %s: %w", kube.Describe(want), err)
	case live.GetDeletionTimestamp() != nil:
		return name + " is being deleted", nil
	}
	if field := difference(want, live); field != "" {
		return fmt.Sprintf("%s has other %s", name, field), nil
	}
	return "", nil
}

// difference names the first field of ours in which live is not as wanted. Fields of others do not count.
func difference(want, live runtime.Object) string {
	switch want := want.(type) {
	case *corev1.ServiceAccount:
		live, ok := live.(*corev1.ServiceAccount)
		if !ok || live.AutomountServiceAccountToken == nil || *live.AutomountServiceAccountToken != *want.AutomountServiceAccountToken {
			return "automountServiceAccountToken"
		}
	case *rbacv1.Role:
		live, ok := live.(*rbacv1.Role)
		if !ok || !sameRules(want.Rules, live.Rules) {
			return "rules"
		}
	case *rbacv1.RoleBinding:
		live, ok := live.(*rbacv1.RoleBinding)
		if !ok || want.RoleRef != live.RoleRef {
			return "roleRef"
		}
		if !slices.Equal(want.Subjects, live.Subjects) {
			return "subjects"
		}
	}
	return ""
}
