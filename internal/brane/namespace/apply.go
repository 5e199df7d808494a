package namespace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ErrExists reports that the namespace exists and was not created by this package.
var ErrExists = errors.New("the namespace already exists")

// Create creates the Namespace and its objects. It waits for a namespace of that name that is being deleted, and completes one that an earlier Create did not
// complete. If the namespace exists, the error is [ErrExists], or with adopt the namespace is changed as [Apply] does.
//
// If the API server refuses an object, Create deletes the Namespace again. If it fails otherwise, the state has a UID if it created the
// Namespace; some objects may be missing then, and [Apply] creates them.
func Create(ctx context.Context, c *kube.Client, spec Spec, adopt bool) (State, error) {
	if _, err := spec.withPasswords(nil); err != nil {
		return State{}, err // before anything is created
	}
	for {
		ns := spec.unfinishedNamespace()
		err := c.Retry(ctx, func() error { return c.Create(ctx, ns) })
		if err == nil {
			if err = completeNew(ctx, c, spec, ns); err != nil {
				return undoCreate(ctx, c, ns, err)
			}
			return stateOf(ns), nil
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
			if err := waitGone(ctx, c, spec.Name, ns.UID); err != nil {
				return State{}, err
			}
		case isUnfinished(ns):
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

// unfinishedAnnotation marks a Namespace that Create has not completed. If the response was lost or the process was killed, the next Create
// completes it.
const unfinishedAnnotation = AnnotationPrefix + "unfinished"

func isUnfinished(ns *corev1.Namespace) bool { return ns.Annotations[unfinishedAnnotation] != "" }

// unfinishedNamespace returns the Namespace for the first request. It has all labels and annotations, because an admission policy may
// require them.
func (s Spec) unfinishedNamespace() *corev1.Namespace {
	ns := s.namespaceObject()
	ns.Annotations[unfinishedAnnotation] = "true"
	return ns
}

// completeNew creates the objects in a new Namespace. A dry run needs the Namespace, so that it is the only object that exists if one is
// refused.
func completeNew(ctx context.Context, c *kube.Client, spec Spec, ns *corev1.Namespace) error {
	var all []change
	for _, object := range spec.wantedObjects() {
		all = append(all, change{object: object})
	}
	if err := checkChanges(ctx, c, all[1:]); err != nil {
		return err
	}
	if err := applyInStages(ctx, c, spec, ns, all); err != nil {
		return err
	}
	if spec.needsDefaultAccount() {
		return spec.applyDefaultAccount(ctx, c)
	}
	return nil
}

// undoLimit limits the deletion of a Namespace whose objects were refused.
const undoLimit = time.Minute

// undoCreate deletes a Namespace that was just created, if the API server has refused one of its objects: the next attempt needs another
// configuration or other permissions. After other errors, such as a lost connection, the Namespace stays, and the next Apply completes it.
func undoCreate(ctx context.Context, c *kube.Client, ns *corev1.Namespace, cause error) (State, error) {
	var status apierrors.APIStatus
	if !errors.As(cause, &status) || c.IsRetryable(cause) || ctx.Err() != nil {
		return stateOf(ns), fmt.Errorf("%w; the namespace exists now and is not complete", cause)
	}
	ctx, done := context.WithTimeout(ctx, undoLimit)
	defer done()
	if err := Delete(ctx, c, ns.Name, string(ns.UID)); err != nil {
		return stateOf(ns), fmt.Errorf("%w; the namespace exists now and is not complete, and deleting it again failed: %w", cause, err)
	}
	return State{}, fmt.Errorf("%w; the new namespace was deleted again, so that nothing is left", cause)
}

// Apply reconciles the namespace and its objects with want: it creates missing objects, changes those that differ, and deletes those that
// are not in want any more, including those of before. Fields of other managers stay. Nothing is changed if the API server refuses one of
// the objects in a dry run. The error is [ErrGone] if the Namespace does not exist.
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
	changes := now.findChanges(want)
	secret, _ := now.children[objectKey(&corev1.Secret{ObjectMeta: want.childMeta(pullSecretName)})].(*corev1.Secret)
	if err := want.fillPullSecret(changes, secret); err != nil {
		return State{}, err
	}
	if err := checkChanges(ctx, c, changes); err != nil {
		return State{}, fmt.Errorf("%w; nothing was changed", err)
	}
	if err := applyInStages(ctx, c, want, now.namespace, changes); err != nil {
		return State{}, err
	}
	if err := deleteObjects(ctx, c, now.findLeftovers(want)); err != nil {
		return State{}, err
	}
	if want.needsDefaultAccount() || before.needsDefaultAccount() {
		if err := want.applyDefaultAccount(ctx, c); err != nil {
			return State{}, err
		}
	}
	return stateOf(now.namespace), nil
}

// change is an object to create or to change.
type change struct {
	object  kube.Object
	live    kube.Object // nil if it does not exist
	replace bool        // live cannot become object and is deleted first
}

// findChanges returns the objects of want that differ.
func (now *inventory) findChanges(want Spec) []change {
	var found []change
	for _, object := range want.wantedObjects() {
		live := now.children[objectKey(object)]
		if object.GetNamespace() == "" {
			live = now.namespace
		}
		if now.describeDrift(want, object, live) != "" {
			found = append(found, change{object, live, live != nil && now.needsReplacement(want, object, live)})
		}
	}
	return found
}

// needsReplacement reports whether a live object cannot become the wanted one: the roleRef of a RoleBinding and the type of a Secret are
// immutable, and Kubernetes does not issue a token for a Secret that contains one.
func (now *inventory) needsReplacement(spec Spec, want, live kube.Object) bool {
	switch want := want.(type) {
	case *rbacv1.RoleBinding:
		return want.RoleRef != castLike(want, live).RoleRef
	case *corev1.Secret:
		return want.Type != castLike(want, live).Type || now.tokenProblem(spec, live) != ""
	default:
		return false
	}
}

// fillPullSecret adds the passwords that the Spec does not contain to the Secret that will be written.
func (s Spec) fillPullSecret(changes []change, live *corev1.Secret) error {
	for i, ch := range changes {
		if ch.object.GetName() != pullSecretName || ch.object.GetNamespace() == "" {
			continue
		}
		filled, err := s.withPasswords(live)
		if err != nil {
			return err
		}
		changes[i].object = filled.pullSecret()
	}
	return nil
}

// checkChanges sends the changes as a dry run and returns all refusals, so that nothing is changed if one is refused.
func checkChanges(ctx context.Context, c *kube.Client, changes []change) error {
	refused := make([]error, len(changes))
	var group errgroup.Group
	for i, ch := range changes {
		group.Go(func() error {
			refused[i] = checkChange(ctx, c, ch)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return errors.Join(refused...)
}

func checkChange(ctx context.Context, c *kube.Client, ch change) error {
	err := c.Retry(ctx, func() error {
		if !ch.replace {
			return c.DryRunApply(ctx, ch.object)
		}
		// Beside the object that it will replace, it can only be created with another name.
		other, ok := ch.object.DeepCopyObject().(kube.Object)
		if !ok {
			return fmt.Errorf("%T has no metadata", ch.object)
		}
		other.SetName("")
		other.SetGenerateName(ManagedBy + "-check-")
		return c.DryRunCreate(ctx, other)
	})
	if _, binding := ch.object.(*rbacv1.RoleBinding); binding && apierrors.IsNotFound(err) {
		return nil // the Role does not exist yet, and its rules are checked with the Role
	}
	if err == nil || apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run") {
		return nil // a webhook with side effects is not asked in a dry run
	}
	return fmt.Errorf("apply %s: %w", kube.Describe(ch.object), err)
}

// applyInStages applies objects in the order of their dependencies: the RoleBinding and the token's Secret after the Role and the service
// account, a new quota after the objects that it counts, and the Namespace last, because the end of its mark records that the rest is
// complete. It fills ns with the resulting Namespace.
func applyInStages(ctx context.Context, c *kube.Client, spec Spec, ns *corev1.Namespace, changes []change) error {
	if isUnfinished(ns) {
		if err := claimNamespace(ctx, c, ns); err != nil {
			return err
		}
	}
	var stages [4][]change
	for _, ch := range changes {
		at := 0
		switch object := ch.object.(type) {
		case *corev1.Namespace:
			object.UID = ns.UID // fails if the Namespace was deleted, instead of creating it
			at = 3
		case *corev1.ResourceQuota:
			if ch.live == nil {
				at = 2
			}
		case *rbacv1.RoleBinding:
			at = 1
		case *corev1.Secret:
			if object.Name == TokenSecret(spec.ServiceAccount) {
				at = 1
			}
		}
		stages[at] = append(stages[at], ch)
	}
	for _, stage := range stages {
		group, ctx := errgroup.WithContext(ctx)
		for _, ch := range stage {
			group.Go(func() error { return ch.apply(ctx, c) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	for _, ch := range stages[3] {
		if written, ok := ch.object.(*corev1.Namespace); ok {
			*ns = *written
		}
	}
	return nil
}

// claimNamespace makes the fields of the first request, which is no Apply, fields that Apply can remove.
func claimNamespace(ctx context.Context, c *kube.Client, ns *corev1.Namespace) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		err := c.Retry(ctx, func() error { return c.ClaimFields(ctx, ns) })
		if apierrors.IsConflict(err) { // another client, such as a controller, has changed it
			if err := c.Retry(ctx, func() error { return c.Get(ctx, ns) }); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("apply namespace %q: %w", ns.Name, err)
	}
	return nil
}

func (ch change) apply(ctx context.Context, c *kube.Client) error {
	if ch.replace {
		if err := deleteObjects(ctx, c, []kube.Object{ch.live}); err != nil {
			return err
		}
	}
	return applyObject(ctx, c, ch.object)
}

func applyObject(ctx context.Context, c *kube.Client, object kube.Object) error {
	if err := c.Retry(ctx, func() error { return c.Apply(ctx, object) }); err != nil {
		return fmt.Errorf("apply %s: %w", kube.Describe(object), err)
	}
	return nil
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
