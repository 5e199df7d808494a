package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// goneInterval is the pause between two reads of a namespace that is being deleted, which takes Kubernetes five seconds or more.
const goneInterval = time.Second

// Retain stops managing the namespace: it deletes our objects in it, which invalidates the service account's tokens, and removes our labels and
// annotations. The Namespace and all other objects in it stay.
func Retain(ctx context.Context, c *kube.Client, spec Spec) error {
	var now *inventory
	err := c.Retry(ctx, func() (err error) {
		now, err = readInventory(ctx, c, spec)
		return err
	})
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := deleteObjects(ctx, c, now.findLeftovers(Spec{Name: spec.Name})); err != nil {
		return err
	}
	if err := (Spec{Name: spec.Name}).applyDefaultAccount(ctx, c); err != nil {
		return err
	}
	nothing := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name, UID: now.namespace.UID}}
	return applyObject(ctx, c, nothing)
}

// Delete deletes the namespace with this UID, with everything in it, and waits until it is gone. If ctx ends first, the error names what remains.
// A namespace of the same name with another UID is one that others have created after ours was gone, and stays.
func Delete(ctx context.Context, c *kube.Client, name, uid string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
	err := c.Retry(ctx, func() error { return c.DeleteByUID(ctx, ns) })
	if apierrors.IsConflict(err) {
		live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if lookup := c.Retry(ctx, func() error { return c.Get(ctx, live) }); apierrors.IsNotFound(lookup) || lookup == nil && live.UID != ns.UID {
			return nil
		}
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete namespace %q: %w", name, err)
	}
	return waitGone(ctx, c, name, ns.UID)
}

// RemainsError reports that a namespace still existed when ctx ended.
type RemainsError struct {
	Name       string
	Conditions []string // the namespace's conditions that are true, which name the remaining objects and finalizers
	Cause      error
}

func (e *RemainsError) Error() string {
	if len(e.Conditions) == 0 {
		return fmt.Sprintf("namespace %q is still being deleted: %v", e.Name, e.Cause)
	}
	return fmt.Sprintf("namespace %q is still being deleted: %v; %s", e.Name, e.Cause, strings.Join(e.Conditions, "; "))
}

func (e *RemainsError) Unwrap() error { return e.Cause }

// waitGone polls one namespace until it is gone. Others may have created one with the same name then.
func waitGone(ctx context.Context, c *kube.Client, name string, uid types.UID) error {
	live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := wait.PollUntilContextCancel(ctx, goneInterval, true, func(ctx context.Context) (bool, error) {
		err := c.Retry(ctx, func() error { return c.Get(ctx, live) })
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && live.UID != uid, err
	})
	if err != nil && ctx.Err() != nil {
		return &RemainsError{Name: name, Conditions: trueConditions(live), Cause: context.Cause(ctx)}
	}
	if err != nil {
		return fmt.Errorf("read namespace %q while it is deleted: %w", name, err)
	}
	return nil
}

// trueConditions returns the conditions of a namespace that are true.
func trueConditions(ns *corev1.Namespace) []string {
	found := map[string]string{}
	for _, condition := range ns.Status.Conditions {
		if condition.Status == corev1.ConditionTrue {
			found[string(condition.Type)] = fmt.Sprintf("%s: %s", condition.Type, condition.Message)
		}
	}
	return slices.Sorted(maps.Values(found))
}
