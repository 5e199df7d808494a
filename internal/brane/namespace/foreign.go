package namespace

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ForeignSecrets returns the names of the Secrets of the namespace that are not in the Spec and that the service account could read or change. Who may create
// Jobs can read all Secrets of the namespace, because pods can mount them. It returns none if the permissions do not include that.
func ForeignSecrets(ctx context.Context, c *kube.Client, spec Spec) ([]string, error) {
	if !slices.ContainsFunc(spec.roleObject().Rules, canAccessSecrets) {
		return nil, nil
	}
	var all corev1.SecretList
	if err := c.List(ctx, &all, spec.Name, ""); err != nil {
		return nil, fmt.Errorf("list every Secret in namespace %q: %w", spec.Name, err)
	}
	var names []string
	for _, secret := range all.Items {
		if secret.Labels[ManagedByLabel] != ManagedBy {
			names = append(names, secret.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// workloads are the resources from which pods are created.
var workloads = []string{"pods", "jobs", "cronjobs", "deployments", "replicasets", "statefulsets", "daemonsets", "replicationcontrollers"}

// canAccessSecrets reports whether a rule allows to read or change every Secret, or to create pods, which can mount them.
func canAccessSecrets(rule rbacv1.PolicyRule) bool {
	isAmong := func(values []string, wanted ...string) bool {
		return slices.ContainsFunc(values, func(value string) bool { return value == "*" || slices.Contains(wanted, value) })
	}
	if isAmong(rule.Resources, workloads...) && isAmong(rule.Verbs, "create", "update", "patch") {
		return true
	}
	return len(rule.ResourceNames) == 0 && isAmong(rule.APIGroups, corev1.GroupName) && isAmong(rule.Resources, "secrets") &&
		isAmong(rule.Verbs, "get", "list", "watch", "update", "patch", "delete", "deletecollection")
}
