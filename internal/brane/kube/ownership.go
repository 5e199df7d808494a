package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
)

// ClaimFields makes the fields that this client has set with Create or Update fields that it has applied, so that a later Apply can remove
// them. It does nothing if there are none. The error is a conflict if the object has changed since it was read.
func (c *Client) ClaimFields(ctx context.Context, obj Object) error {
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(obj, sets.New(FieldManager), FieldManager)
	if err != nil {
		return fmt.Errorf("read the managers of the fields of %s: %w", Describe(obj), err)
	}
	if patch == nil {
		return nil
	}
	r, err := c.newRequest(obj, "PATCH", obj.GetNamespace())
	if err != nil {
		return err
	}
	return c.sendChange(ctx, r.Name(obj.GetName()).SetHeader("Content-Type", string(types.JSONPatchType)).Body(patch), obj)
}
