package clustertest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Policy is an admission policy of the cluster for the objects of one test. Applies and Requires are expressions in CEL.
type Policy struct{ Name, Group, Resource, Applies, Requires, Message string }

// Enforce creates the policy until the test ends, and waits until the API server refuses the probe.
func (p Policy) Enforce(t testing.TB, c *kube.Client, probe kube.Object) (remove func()) {
	t.Helper()
	type object = map[string]any
	spec := object{
		"failurePolicy": "Fail",
		"matchConstraints": object{"resourceRules": []object{{
			"apiGroups": []string{p.Group}, "apiVersions": []string{"v1"}, "resources": []string{p.Resource}, "operations": []string{"CREATE", "UPDATE"},
		}}},
		"matchConditions": []object{{"name": "of-this-test", "expression": p.Applies}},
		"validations":     []object{{"expression": p.Requires, "message": p.Message, "reason": "Forbidden"}},
	}
	const version = "admissionregistration.k8s.io/v1"
	list, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": []object{
		{"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": object{"name": p.Name}, "spec": spec},
		{
			"apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": object{"name": p.Name},
			"spec": object{"policyName": p.Name, "validationActions": []string{"Deny"}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	remove = createWithKubectl(t, list, "validatingadmissionpolicybinding/"+p.Name, "validatingadmissionpolicy/"+p.Name)
	p.Await(t, c, probe, func(err error) bool { return err != nil && strings.Contains(err.Error(), p.Message) })
	return remove
}

// Await waits until a dry run of the probe has the result.
func (p Policy) Await(t testing.TB, c *kube.Client, probe kube.Object, isDone func(error) bool) {
	t.Helper()
	testenv.Await(t, "the policy "+p.Name, func(ctx context.Context) (bool, error) { return isDone(c.DryRunApply(ctx, probe)), nil })
}
