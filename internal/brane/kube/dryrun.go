package kube

import (
	"context"

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
