package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Follower receives the changes that [Follow] observes. Its functions are called one after another and must not block.
type Follower[T Object] struct {
	Trim    func(T)     // removes what is not needed from an object, which is kept until it is deleted; may be nil
	Changed func(T)     // an object exists at the start, was created or has changed; the same state may be received twice
	Deleted func(T)     // an object was deleted; T is its last known state
	Failed  func(error) // listing or watching failed; it is repeated
}

// Follow reports every object of one kind that has the labels until ctx ends. The type of list determines the kind.
// If a watch ends (the API server restarts, a resource version has expired), Follow watches or lists again, so no change is lost.
func Follow[T Object](ctx context.Context, c *Client, list List, namespace, labels string, to Follower[T]) error {
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			l := Empty(list)
			return l, c.List(ctx, l, namespace, labels)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = labels
			return c.Watch(ctx, Empty(list), namespace, options)
		},
	}
	var example T
	informer := cache.NewSharedInformer(source, example, 0)
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { to.Failed(err) })
	if err == nil && to.Trim != nil {
		err = informer.SetTransform(func(obj any) (any, error) {
			callTyped(obj, to.Trim)
			return obj, nil
		})
	}
	if err == nil {
		_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { callTyped(obj, to.Changed) },
			UpdateFunc: func(_, obj any) { callTyped(obj, to.Changed) },
			DeleteFunc: func(obj any) {
				if missed, ok := obj.(cache.DeletedFinalStateUnknown); ok {
					obj = missed.Obj // deleted while the watch was broken
				}
				callTyped(obj, to.Deleted)
			},
		})
	}
	if err != nil {
		return fmt.Errorf("follow objects labelled %s in namespace %q: %w", labels, namespace, err)
	}
	informer.RunWithContext(ctx)
	return nil
}

func callTyped[T Object](obj any, to func(T)) {
	if t, ok := obj.(T); ok {
		to(t)
	}
}
