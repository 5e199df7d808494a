package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ErrGone reports that the Namespace does not exist, is being deleted or was replaced; then it is a [TerminatingError] or a [ReplacedError].
var ErrGone = errors.New("the namespace does not exist")

// TerminatingError reports that the Namespace is being deleted.
type TerminatingError struct {
	Conditions []string // the namespace's conditions that are true, which name the remaining objects and finalizers
}

func (e *TerminatingError) Error() string {
	return strings.Join(append([]string{"the namespace is being deleted"}, e.Conditions...), "; ")
}

// Is reports that the Namespace counts as one that does not exist.
func (e *TerminatingError) Is(target error) bool { return target == ErrGone }

// ReplacedError reports that the Namespace is not the one of the Spec: it has another UID and not our label. Others have created it after ours was deleted.
type ReplacedError struct{ UID string }

func (e *ReplacedError) Error() string {
	return fmt.Sprintf("the namespace was deleted, and others have created one with the same name (UID %s), which is not managed", e.UID)
}

// Remedy returns what to do about it.
func (e *ReplacedError) Remedy() string {
	return "The resource does not change or delete this namespace, and a refresh removes it from the state. Choose another name, or set adopt = true to manage it."
}

// Is reports that the Namespace counts as one that does not exist.
func (e *ReplacedError) Is(target error) bool { return target == ErrGone }

// Reader reads objects. *kube.Client implements it, and so does a snapshot of many namespaces.
type Reader interface {
	Get(ctx context.Context, object kube.Object) error
	List(ctx context.Context, list kube.List, namespace, labels string) error
}

// State is the namespace in the cluster.
type State struct {
	UID         string
	Labels      map[string]string // all labels, also those of other managers
	Annotations map[string]string
	// Drift has a sentence for each object that is missing, differs from the Spec or is not in it any more, for example
	// `RoleBinding "brane" is missing`; it is empty if there is no drift.
	Drift []string
}

// Read compares the cluster with want. The error is [ErrGone] if the Namespace does not exist; a missing object in it is drift.
func Read(ctx context.Context, r Reader, want Spec) (State, error) {
	now, err := readInventory(ctx, r, want)
	if err != nil {
		return State{}, err
	}
	account, err := want.defaultAccountDrift(ctx, r)
	if err != nil {
		return State{}, err
	}
	state := stateOf(now.namespace)
	state.Drift = slices.Concat(want.namespaceDrift(now.namespace, want.Labels, want.Annotations), now.childDrift(want), account)
	return state, nil
}

func stateOf(ns *corev1.Namespace) State {
	return State{UID: string(ns.UID), Labels: ns.Labels, Annotations: ns.Annotations}
}

// inventory contains the objects of one namespace.
type inventory struct {
	namespace *corev1.Namespace
	children  map[string]kube.Object // by id
}

// objectKey returns the kind and name of an object, which are unique in a namespace.
func objectKey(object kube.Object) string {
	return fmt.Sprintf("%s %q", kube.Kind(object), object.GetName())
}

// readInventory reads the Namespace, all objects that have our label, and those of want that do not have it.
func readInventory(ctx context.Context, r Reader, want Spec) (*inventory, error) {
	now := &inventory{namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: want.Name}}, children: map[string]kube.Object{}}
	lists := managedKinds()
	group, listing := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := r.Get(listing, now.namespace)
		switch {
		case apierrors.IsNotFound(err):
			return ErrGone
		case err != nil:
			return fmt.Errorf("read namespace %q: %w", want.Name, err)
		case now.namespace.Status.Phase == corev1.NamespaceTerminating:
			return &TerminatingError{trueConditions(now.namespace)}
		case want.UID != "" && want.UID != string(now.namespace.UID) && now.namespace.Labels[ManagedByLabel] != ManagedBy:
			return &ReplacedError{string(now.namespace.UID)}
		}
		return nil
	})
	for _, list := range lists {
		group.Go(func() error {
			if err := r.List(listing, list, want.Name, ownedSelector); err != nil {
				return fmt.Errorf("list every %s in namespace %q: %w", kube.Kind(list), want.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, list := range lists {
		if err := now.addItems(list); err != nil {
			return nil, err
		}
	}
	return now, now.readUnlisted(ctx, r, want)
}

func (now *inventory) addItems(list kube.List) error {
	return meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(kube.Object)
		if !ok {
			return fmt.Errorf("%T in a list is not an API object", item)
		}
		now.children[objectKey(object)] = object
		return nil
	})
}

// readUnlisted reads the objects of want that are in no list: Secrets, and those that have lost their label.
func (now *inventory) readUnlisted(ctx context.Context, r Reader, want Spec) error {
	var missing []kube.Object
	for _, object := range want.wantedObjects()[1:] {
		if now.children[objectKey(object)] == nil {
			missing = append(missing, emptyCopy(object))
		}
	}
	found := make([]bool, len(missing))
	group, ctx := errgroup.WithContext(ctx)
	for i, object := range missing {
		group.Go(func() error {
			err := r.Get(ctx, object)
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("read %s: %w", kube.Describe(object), err)
			}
			found[i] = err == nil
			return nil
		})
	}
	err := group.Wait()
	for i, object := range missing {
		if found[i] {
			now.children[objectKey(object)] = object
		}
	}
	return err
}

// emptyCopy returns an object with only the type, namespace and name of another.
func emptyCopy(object kube.Object) kube.Object {
	fresh := kube.Empty(object)
	fresh.SetNamespace(object.GetNamespace())
	fresh.SetName(object.GetName())
	return fresh
}

// childDrift returns a sentence for each object in the namespace that differs from want.
func (now *inventory) childDrift(want Spec) []string {
	var found []string
	for _, object := range want.wantedObjects()[1:] {
		found = append(found, now.describeDrift(want, object, now.children[objectKey(object)]))
	}
	for _, object := range now.findLeftovers(want) {
		found = append(found, objectKey(object)+" is no longer configured")
	}
	return slices.DeleteFunc(found, func(s string) bool { return s == "" })
}

// findLeftovers returns the objects with our label that are not in want.
func (now *inventory) findLeftovers(want Spec) []kube.Object {
	wanted := map[string]bool{}
	for _, object := range want.wantedObjects() {
		wanted[objectKey(object)] = true
	}
	var left []kube.Object
	for key, object := range now.children {
		if !wanted[key] && object.GetDeletionTimestamp() == nil {
			left = append(left, object)
		}
	}
	slices.SortFunc(left, func(a, b kube.Object) int { return strings.Compare(objectKey(a), objectKey(b)) })
	return left
}

// Changes returns a sentence for each object that [Apply] would change in a namespace that is not managed yet. The error is [ErrGone] if it does not exist.
func Changes(ctx context.Context, r Reader, want Spec) ([]string, error) {
	now, err := readInventory(ctx, r, want)
	if err != nil {
		return nil, err
	}
	account, err := want.defaultAccountDrift(ctx, r)
	if err != nil {
		return nil, err
	}
	return slices.Concat(want.namespaceDrift(now.namespace, nil, nil), now.childDrift(want), account), nil
}
