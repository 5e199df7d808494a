package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DryRunCreate checks whether the server would create the object, with all its admission checks; it creates nothing.
func (c *Client) DryRunCreate(ctx context.Context, obj Object) error {
	r, err := c.newRequest(obj, "POST", obj.GetNamespace())
	if err != nil {
		return err
	}
	return c.sendRequest(ctx, r.VersionedParams(&metav1.CreateOptions{FieldManager: FieldManager, DryRun: []string{metav1.DryRunAll}}, params).Body(obj), obj)
}

// DryRunApply checks whether the server would accept [Client.Apply] with the object, with all its admission checks; it changes nothing,
// also not the object.
func (c *Client) DryRunApply(ctx context.Context, obj Object) error {
	tried, ok := obj.DeepCopyObject().(Object)
	if !ok {
		return fmt.Errorf("%T has no metadata", obj)
	}
	r, err := c.newApply(tried, true)
	if err != nil {
		return err
	}
	return c.sendRequest(ctx, r, tried)
}
