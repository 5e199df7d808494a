package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Follower hears what becomes of the objects that [Follow] follows. Its functions are called one after another and must not block.
type Follower[T Object] struct {
	Changed func(T)     // an object is there: at the start, when made, at every change; the same state may come twice
	Deleted func(T)     // an object is gone; T is the last state seen
	Failed  func(error) // listing or watching did not work; it is tried again
}

// Follow reports every object of one kind that has the labels, from now until ctx ends; it returns when ctx has ended. list names the kind.
// When a watch breaks (the API server restarts, a resource version has expired) it continues or lists again, so no change is lost.
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
