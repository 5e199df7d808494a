package namespace

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ErrExists says that there is such a namespace already and that it was not made by us.
var ErrExists = errors.New("the namespace exists already")

// Create makes the Namespace and what belongs into it. A namespace of that name that is being deleted is waited for; one that we began to make and did
// not finish is finished. Where the name is taken the error is [ErrExists], or with adopt the namespace is taken over as [Apply] does.
//
// When Create ends early the state has a UID if a Namespace was made by us; it may be there without all its children, and [Apply] finishes it.
func Create(ctx context.Context, c *kube.Client, spec Spec, adopt bool) (State, error) {
	if _, err := spec.withPasswords(nil); err != nil {
		return State{}, err // before anything is there
	}
	for {
		// POST sets nothing else: what Apply sets later it must own alone, to be able to take it away again.
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name, Labels: map[string]string{ManagedByLabel: unfinished}}}
		err := c.Retry(ctx, func() error { return c.Create(ctx, ns) })
		if err == nil {
			err = applyInStages(ctx, c, spec, ns, spec.objects())
			return stateOf(ns), err
		}
		if !apierrors.IsAlreadyExists(err) {
			return State{}, fmt.Errorf("create namespace %q: %w", spec.Name, err)
		}
		err = c.Retry(ctx, func() error { return c.Get(ctx, ns) })
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return State{}, fmt.Errorf("read namespace %q: %w", spec.Name, err)
		case ns.Status.Phase == corev1.NamespaceTerminating:
			if err := waitGone(ctx, c, spec.Name); err != nil {
				return State{}, err
			}
		case ns.Labels[ManagedByLabel] == unfinished:
			state, err := Apply(ctx, c, spec, spec)
			if err != nil {
				return stateOf(ns), err
			}
			return state, nil
		case adopt:
			return Apply(ctx, c, spec, spec)
		default:
			return State{}, ErrExists
		}
	}
}

// unfinished is the label's value on a Namespace of which not everything is there yet. When the answer to its POST was lost, or the process was killed,
// the next Create finds it and continues.
const unfinished = ManagedBy + ".unfinished"

// Apply brings the namespace and its children to what is wanted: it makes those that are missing, changes those that differ, and deletes those of ours
// that are left over, among them what before wanted and want does not. What others have set stays. The error is [ErrGone] when the Namespace is not there.
func Apply(ctx context.Context, c *kube.Client, before, want Spec) (State, error) {
	// What before has beside is looked for as well, to be deleted: Secrets are in no list.
	var now *inventory
	err := c.Retry(ctx, func() (err error) {
		if now, err = readInventory(ctx, c, want); err != nil {
			return err
		}
		return now.readUnlisted(ctx, c, before)
	})
	if err != nil {
		return State{}, err
	}
	secret, _ := now.children[objectKey(&corev1.Secret{ObjectMeta: want.childMeta(pullSecretName)})].(*corev1.Secret)
	var different []kube.Object
	for _, object := range want.objects() {
		live := now.children[objectKey(object)]
		if object.GetNamespace() == "" {
			live = now.namespace
		}
		if describeDrift(object, live) != "" {
			different = append(different, object)
		}
	}
	if err := want.fillPullSecret(different, secret); err != nil {
		return State{}, err
	}
	if err := applyInStages(ctx, c, want, now.namespace, different); err != nil {
		return State{}, err
	}
	if err := deleteObjects(ctx, c, now.leftovers(want)); err != nil {
		return State{}, err
	}
	return stateOf(now.namespace), nil
}

// fillPullSecret puts the passwords that were not given into the Secret that is to be written.
func (s Spec) fillPullSecret(objects []kube.Object, live *corev1.Secret) error {
	for i, object := range objects {
		if object.GetName() != pullSecretName || object.GetNamespace() == "" {
			continue
		}
		filled, err := s.withPasswords(live)
		if err != nil {
			return err
		}
		objects[i] = filled.pullSecret()
	}
	return nil
}

// write applies objects of the spec: first what needs nothing else, then what needs another (the binding its role, so that the server can see that we may
// grant it; the token's Secret its account), then the Namespace itself: its fields say that the rest is there. ns is filled with what it then is.
func applyInStages(ctx context.Context, c *kube.Client, spec Spec, ns *corev1.Namespace, objects []kube.Object) error {
	var stages [3][]kube.Object
	for _, object := range objects {
		at := 0
		switch object := object.(type) {
		case *corev1.Namespace:
			object.UID = ns.UID // does not create a new one if it has just been deleted
			at = 2
		case *rbacv1.RoleBinding:
			at = 1
		case *corev1.Secret:
			if object.Name == TokenSecret(spec.ServiceAccount) {
				at = 1
			}
		}
		stages[at] = append(stages[at], object)
	}
	for _, stage := range stages {
		group, ctx := errgroup.WithContext(ctx)
		for _, object := range stage {
			group.Go(func() error { return applyObject(ctx, c, object) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	for _, object := range stages[2] {
		if written, ok := object.(*corev1.Namespace); ok {
			*ns = *written
		}
	}
	return nil
}

func applyObject(ctx context.Context, c *kube.Client, object kube.Object) error {
	err := c.Retry(ctx, func() error { return c.Apply(ctx, object) })
	if apierrors.IsInvalid(err) && isImmutable(object) {
		if err := deleteObjects(ctx, c, []kube.Object{object}); err != nil {
			return err
		}
		err = c.Retry(ctx, func() error { return c.Apply(ctx, object) })
	}
	if err != nil {
		return fmt.Errorf("apply %s: %w", kube.Describe(object), err)
	}
	return nil
}

// unchangeable are objects with an immutable field, which have to be created again: a binding's roleRef, a Secret's type.
func isImmutable(object kube.Object) bool {
	switch object.(type) {
	case *rbacv1.RoleBinding, *corev1.Secret:
		return true
	default:
		return false
	}
}

func deleteObjects(ctx context.Context, c *kube.Client, objects []kube.Object) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, object := range objects {
		group.Go(func() error {
			err := c.Retry(ctx, func() error { return c.Delete(ctx, object) })
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
			}
			return nil
		})
	}
	return group.Wait()
}
