package kube

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// Watch watches the kind of list. Like any other request, it has to be answered within a time; then it lasts until the server or the caller ends it. A request
// that a proxy has accepted, and never answers, would look like a watch without events.
func (c *Client) Watch(ctx context.Context, list List, namespace string, options metav1.ListOptions) (watch.Interface, error) {
	r, err := c.newRequest(list, "GET", namespace)
	if err != nil {
		return nil, err
	}
	if err := c.awaitTurn(ctx); err != nil {
		return nil, err
	}
	options.Watch = true
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(answerWithin, func() { cancel(errNoAnswer) })
	begun, err := r.VersionedParams(&options, params).Throttle(nil).Watch(ctx)
	timer.Stop()
	if err != nil {
		err = withCause(ctx, err)
		cancel(nil)
		return nil, err
	}
	return begunWatch{begun, cancel}, nil
}

// begunWatch is a watch with its own context.
type begunWatch struct {
	watch.Interface
	cancel context.CancelCauseFunc
}

// Stop ends the watch.
func (w begunWatch) Stop() {
	w.Interface.Stop()
	w.cancel(nil)
}
