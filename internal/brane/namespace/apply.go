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

// ErrExists reports that the namespace exists and was not created by this package.
var ErrExists = errors.New("the namespace already exists")

// Create creates the Namespace and its objects. It waits for a namespace of that name that is being deleted, and completes one that an earlier Create did not
// complete. If the namespace exists, the error is [ErrExists], or with adopt the namespace is changed as [Apply] does.
//
// If Create fails, the state has a UID if it created the Namespace; some objects may be missing then, and [Apply] creates them.
func Create(ctx context.Context, c *kube.Client, spec Spec, adopt bool) (State, error) {
	if _, err := spec.withPasswords(nil); err != nil {
		return State{}, err // before anything is created
	}
	for {
		// Create sets no other field: Apply must be the only owner of a field to be able to remove it.
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name, Labels: map[string]string{ManagedByLabel: unfinished}}}
		err := c.Retry(ctx, func() error { return c.Create(ctx, ns) })
		if err == nil {
			err = applyInStages(ctx, c, spec, ns, spec.wantedObjects())
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

// unfinished is the label's value of a Namespace that Create has not completed. If the response was lost or the process was killed, the next Create
// completes it.
const unfinished = ManagedBy + ".unfinished"

// Apply reconciles the namespace and its objects with want: it creates missing objects, changes those that differ, and deletes those that are
// not in want any more, including those of before. Fields of other managers stay. The error is [ErrGone] if the Namespace does not exist.
func Apply(ctx context.Context, c *kube.Client, before, want Spec) (State, error) {
	// Objects of before are read as well, to delete them: Secrets are not listed.
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
	for _, object := range want.wantedObjects() {
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
	if err := deleteObjects(ctx, c, now.findLeftovers(want)); err != nil {
		return State{}, err
	}
	return stateOf(now.namespace), nil
}

// fillPullSecret adds the passwords that the Spec does not contain to the Secret that will be written.
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

// applyInStages applies objects in the order of their dependencies: the RoleBinding and the token's Secret after the Role and the service account, and the Namespace
// last, because its label records that the rest is complete. It fills ns with the resulting Namespace.
func applyInStages(ctx context.Context, c *kube.Client, spec Spec, ns *corev1.Namespace, objects []kube.Object) error {
	var stages [3][]kube.Object
	for _, object := range objects {
		at := 0
		switch object := object.(type) {
		case *corev1.Namespace:
			object.UID = ns.UID // fails if the Namespace was deleted, instead of creating it
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

// isImmutable reports whether an object has a field that cannot be changed: the roleRef of a RoleBinding, the type of a Secret. Such an object is replaced.
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
