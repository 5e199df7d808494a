package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ErrExists says that there is such a namespace already and that it was not made by us.
var ErrExists = errors.New("the namespace exists already")

// Create makes the Namespace and what belongs into it. The error is [ErrExists] where the name is taken. A namespace of that name that is being deleted
// is waited for. When Create ends early the Namespace may be there without all its children: [Apply] finishes it.
func Create(ctx context.Context, c *kube.Client, spec Spec) error {
	for {
		// Only the name is set by POST: what Apply sets later it must own alone, to be able to take it away again.
		err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}})
		if err == nil {
			return Apply(ctx, c, spec)
		}
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create namespace %q: %w", spec.Name, err)
		}
		there := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}
		if err := c.Get(ctx, there); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("read namespace %q: %w", spec.Name, err)
		}
		if there.Status.Phase != corev1.NamespaceTerminating {
			return ErrExists
		}
		if err := waitGone(ctx, c, spec.Name); err != nil {
			return err
		}
	}
}

// Apply brings the namespace and its children to what is wanted, and makes those that are missing. What others have set stays.
func Apply(ctx context.Context, c *kube.Client, spec Spec) error {
	objects := spec.objects()
	if err := apply(ctx, c, objects[0]); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, object := range objects[1:] {
		group.Go(func() error { return apply(ctx, c, object) })
	}
	return group.Wait()
}

func apply(ctx context.Context, c *kube.Client, object kube.Object) error {
	want := object.DeepCopyObject()
	err := c.Apply(ctx, object)
	if binding, ok := want.(*rbacv1.RoleBinding); ok && apierrors.IsInvalid(err) {
		// A binding's roleRef can't be changed, only made anew.
		if err := c.Delete(ctx, binding); err != nil {
			return fmt.Errorf("delete %s to point it at its role again: %w", kube.Describe(binding), err)
		}
		err = c.Apply(ctx, binding)
	}
	if err != nil {
		return fmt.Errorf("apply %s: %w", kube.Describe(object), err)
	}
	return nil
}

// Retire deletes the service account with its Role and RoleBinding; the account's tokens are worth nothing from then on.
func Retire(ctx context.Context, c *kube.Client, spec Spec) error {
	for _, object := range spec.objects()[1:] {
		if err := c.Delete(ctx, object); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
		}
	}
	return nil
}

// Delete deletes the namespace with everything in it and waits until it is gone. When ctx ends first the error says what is still there.
func Delete(ctx context.Context, c *kube.Client, name string) error {
	err := c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete namespace %q: %w", name, err)
	}
	return waitGone(ctx, c, name)
}

// RemainsError says that a namespace was not gone when we had to stop waiting.
type RemainsError struct {
	Name       string
	Conditions []string // the namespace's conditions that are true: what remains in it, and which finalizers hold it
	Cause      error
}

func (e *RemainsError) Error() string {
	if len(e.Conditions) == 0 {
		return fmt.Sprintf("namespace %q is still being deleted: %v", e.Name, e.Cause)
	}
	return fmt.Sprintf("namespace %q is still being deleted: %v; %s", e.Name, e.Cause, strings.Join(e.Conditions, "; "))
}

func (e *RemainsError) Unwrap() error { return e.Cause }

// waitGone follows one namespace until it is gone.
func waitGone(ctx context.Context, c *kube.Client, name string) error {
	var last corev1.Namespace
	for {
		live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		err := c.Get(ctx, live)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if ctx.Err() != nil {
			return &RemainsError{Name: name, Conditions: trueConditions(&last), Cause: context.Cause(ctx)}
		}
		if err != nil {
			return fmt.Errorf("read namespace %q while it is deleted: %w", name, err)
		}
		last = *live
		if err := watchUntilDeleted(ctx, c, live, &last); err != nil {
			return err
		}
	}
}

// watchUntilDeleted returns when the namespace is deleted, the watch has ended or ctx has; the caller looks again.
func watchUntilDeleted(ctx context.Context, c *kube.Client, live, last *corev1.Namespace) error {
	events, err := c.Watch(ctx, &corev1.NamespaceList{}, "", metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector("metadata.name", live.Name).String(),
		ResourceVersion: live.ResourceVersion,
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("watch namespace %q: %w", live.Name, err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-events.ResultChan():
			if !open || event.Type == watch.Deleted || event.Type == watch.Error {
				return nil
			}
			if ns, ok := event.Object.(*corev1.Namespace); ok {
				*last = *ns
			}
		}
	}
}

func trueConditions(ns *corev1.Namespace) []string {
	found := map[string]string{}
	for _, condition := range ns.Status.Conditions {
		if condition.Status == corev1.ConditionTrue {
			found[string(condition.Type)] = fmt.Sprintf("%s: %s", condition.Type, condition.Message)
		}
	}
	return slices.Sorted(maps.Values(found))
}
