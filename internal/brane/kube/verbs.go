package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
)

// Get fills obj with the object of its namespace and name.
func (c *Client) Get(ctx context.Context, obj Object) error {
	r, err := c.newRequest(obj, "GET", obj.GetNamespace())
	if err != nil {
		return err
	}
	return c.sendRequest(ctx, r.Name(obj.GetName()), obj)
}

// Create creates the object and fills it with the server's response. An access review is created too, but not stored: its response is its status.
func (c *Client) Create(ctx context.Context, obj Object) error {
	r, err := c.newRequest(obj, "POST", obj.GetNamespace())
	if err != nil {
		return err
	}
	r = r.VersionedParams(&metav1.CreateOptions{FieldManager: FieldManager}, params).Body(obj)
	switch obj.(type) {
	case *authenticationv1.SelfSubjectReview, *authorizationv1.SelfSubjectAccessReview, *authorizationv1.SelfSubjectRulesReview:
		return c.sendRequest(ctx, r, obj)
	default:
		return c.sendChange(ctx, r, obj)
	}
}

// Update replaces the object if its resource version is still the one in obj; otherwise the error is a conflict.
func (c *Client) Update(ctx context.Context, obj Object) error {
	r, err := c.newRequest(obj, "PUT", obj.GetNamespace())
	if err != nil {
		return err
	}
	return c.sendChange(ctx, r.Name(obj.GetName()).VersionedParams(&metav1.UpdateOptions{FieldManager: FieldManager}, params).Body(obj), obj)
}

// Apply sets the fields of the object with server-side apply and force, and removes fields that an earlier Apply set and this one does not;
// fields of other managers stay. It fills obj with the resulting object.
func (c *Client) Apply(ctx context.Context, obj Object) error {
	r, err := c.newApply(obj, false)
	if err != nil {
		return err
	}
	return c.sendChange(ctx, r, obj)
}

// newApply returns the request of a server-side apply.
func (c *Client) newApply(obj Object, dryRun bool) (*rest.Request, error) {
	gvk, err := kindOf(obj)
	if err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	obj.SetManagedFields(nil)
	body, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", Describe(obj), err)
	}
	r, err := c.newRequest(obj, "PATCH", obj.GetNamespace())
	if err != nil {
		return nil, err
	}
	force := true
	options := &metav1.PatchOptions{FieldManager: FieldManager, Force: &force}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return r.Name(obj.GetName()).SetHeader("Content-Type", string(types.ApplyPatchType)).VersionedParams(options, params).Body(body), nil
}

// MergePatch changes the object's fields named in patch (RFC 7396) and fills obj with the response.
func (c *Client) MergePatch(ctx context.Context, obj Object, patch []byte) error {
	r, err := c.newRequest(obj, "PATCH", obj.GetNamespace())
	if err != nil {
		return err
	}
	r = r.Name(obj.GetName()).SetHeader("Content-Type", string(types.MergePatchType)).
		VersionedParams(&metav1.PatchOptions{FieldManager: FieldManager}, params)
	return c.sendChange(ctx, r.Body(patch), obj)
}

// Delete requests the object's deletion and does not wait for it; dependent objects are deleted in the background.
func (c *Client) Delete(ctx context.Context, obj Object) error {
	return c.deleteIf(ctx, obj, nil)
}

// DeleteByUID deletes as Delete does, if the object has the UID in obj; otherwise the error is a conflict.
func (c *Client) DeleteByUID(ctx context.Context, obj Object) error {
	return c.deleteIf(ctx, obj, metav1.NewUIDPreconditions(string(obj.GetUID())))
}

func (c *Client) deleteIf(ctx context.Context, obj Object, met *metav1.Preconditions) error {
	r, err := c.newRequest(obj, "DELETE", obj.GetNamespace())
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	return c.sendChange(ctx, r.Name(obj.GetName()).Body(&metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: met}), &metav1.Status{})
}

// List fills list with the objects of its kind that have the labels; an empty namespace means all namespaces. Long lists are read in pages.
func (c *Client) List(ctx context.Context, list List, namespace, labels string) error {
	found, _, err := c.newPager(list, namespace).List(ctx, metav1.ListOptions{LabelSelector: labels})
	if err != nil {
		return withCause(ctx, err)
	}
	all, err := meta.ListAccessor(found)
	if err != nil {
		return err
	}
	items, err := meta.ExtractList(found)
	if err != nil {
		return err
	}
	list.SetResourceVersion(all.GetResourceVersion())
	return meta.SetList(list, items)
}

// Each calls take with each object that [Client.List] returns, until take returns an error, which is that of Each. It holds a few pages in memory
// instead of the list. T has to be the type of the elements of list.
func Each[T Object](ctx context.Context, c *Client, list List, namespace, labels string, take func(T) error) error {
	pages := c.newPager(list, namespace)
	pages.PageBufferSize = 1
	err := pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: labels}, func(object runtime.Object) error {
		if typed, ok := object.(T); ok {
			return take(typed)
		}
		return fmt.Errorf("the list contains a %T", object)
	})
	return withCause(ctx, err)
}

// newPager returns what reads a list in pages.
func (c *Client) newPager(list List, namespace string) *pager.ListPager {
	return pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		r, err := c.newRequest(list, "GET", namespace)
		if err != nil {
			return nil, err
		}
		page := Empty(list)
		return page, c.sendRequest(ctx, r.VersionedParams(&options, params), page)
	})
}

// Events fills list with the events of one object.
func (c *Client) Events(ctx context.Context, list *corev1.EventList, namespace, name string) error {
	r, err := c.newRequest(list, "GET", namespace)
	if err != nil {
		return err
	}
	return c.sendRequest(ctx, r.VersionedParams(&metav1.ListOptions{FieldSelector: "involvedObject.name=" + name}, params), list)
}

// CreateToken requests a token for a service account; the response is in request.Status.
func (c *Client) CreateToken(ctx context.Context, namespace, serviceAccount string, request *authenticationv1.TokenRequest) error {
	r, err := c.newRequest(&corev1.ServiceAccount{}, "POST", namespace)
	if err != nil {
		return err
	}
	return c.sendRequest(ctx, r.Name(serviceAccount).SubResource("token").Body(request), request)
}

// Logs returns the last lines that a container of a pod has printed.
func (c *Client) Logs(ctx context.Context, namespace, pod, container string, lines int64) ([]byte, error) {
	r, err := c.newRequest(&corev1.Pod{}, "GET", namespace)
	if err != nil {
		return nil, err
	}
	text, err := r.Name(pod).SubResource("log").VersionedParams(&corev1.PodLogOptions{Container: container, TailLines: &lines}, params).DoRaw(ctx)
	if err != nil {
		return nil, err // text is then the body of the error
	}
	return text, nil
}

// Describe returns the kind, name and namespace of an object: `Role "run" in namespace "brane"`.
func Describe(obj Object) string {
	if obj.GetNamespace() == "" {
		return fmt.Sprintf("%s %q", Kind(obj), obj.GetName())
	}
	return fmt.Sprintf("%s %q in namespace %q", Kind(obj), obj.GetName(), obj.GetNamespace())
}

// kindOf returns the group, version and kind of an object, or of a list's elements.
func kindOf(obj runtime.Object) (schema.GroupVersionKind, error) {
	kinds, _, err := scheme.ObjectKinds(obj)
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	gvk := kinds[0]
	if _, ok := obj.(List); ok {
		gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	}
	return gvk, nil
}

// Kind returns the kind of an object, for example "Role", or of a list's elements.
func Kind(obj runtime.Object) string {
	gvk, err := kindOf(obj)
	if err != nil {
		return "object"
	}
	return gvk.Kind
}

// Empty returns an empty object or list of the same type.
func Empty[T runtime.Object](obj T) T {
	fresh, _ := reflect.New(reflect.TypeOf(obj).Elem()).Interface().(T) // a pointer to the same type
	return fresh
}
