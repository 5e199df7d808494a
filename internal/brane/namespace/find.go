package namespace

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Found is a namespace that may not be managed.
type Found struct {
	State
	Managed bool // it has our label, and is complete
	Spec    Spec // of a managed namespace
}

// Find reads one namespace. The error is [ErrGone] if it does not exist.
func Find(ctx context.Context, r Reader, name string) (Found, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := r.Get(ctx, ns)
	switch {
	case apierrors.IsNotFound(err):
		return Found{}, ErrGone
	case err != nil:
		return Found{}, fmt.Errorf("read %s: %w", kube.Describe(ns), err)
	case ns.Status.Phase == corev1.NamespaceTerminating:
		return Found{}, &TerminatingError{trueConditions(ns)}
	}
	found := Found{State: stateOf(ns), Managed: ns.Labels[ManagedByLabel] == ManagedBy && !isUnfinished(ns)}
	if found.Managed {
		found.Spec, err = Discover(ctx, r, name, ObjectName)
	}
	return found, err
}

// Names returns the sorted names of all namespaces that match a label selector, except those that are being deleted.
func Names(ctx context.Context, c *kube.Client, selector string) ([]string, error) {
	var all corev1.NamespaceList
	if err := c.List(ctx, &all, "", selector); err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var names []string
	for _, ns := range all.Items {
		if ns.Status.Phase != corev1.NamespaceTerminating {
			names = append(names, ns.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}
