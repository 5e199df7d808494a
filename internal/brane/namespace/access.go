package namespace

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Access is a set of permissions of the service account in its namespace.
type Access string

// The levels of access.
const (
	// AccessSubmit permits to create Jobs, which is all that Brane 0.4 to 0.6 needs (brane-job/src/cmd_create.rs@v0.6.3).
	AccessSubmit Access = "submit"
	// AccessRun also permits what a workflow run needs: watch Jobs and Pods, read logs, and manage the run's own objects.
	AccessRun Access = "run"
)

// Accesses returns the levels, for validators and documentation.
func Accesses() []string { return []string{string(AccessSubmit), string(AccessRun)} }

// Rules returns the Role's rules of a level, or nil if there is no such level.
func (a Access) Rules() []rbacv1.PolicyRule {
	submit := rbacv1.PolicyRule{APIGroups: []string{batchv1.GroupName}, Resources: []string{"jobs"}, Verbs: []string{"create"}}
	switch a {
	case AccessSubmit:
		return []rbacv1.PolicyRule{submit}
	case AccessRun:
		core := func(resource string, verbs ...string) rbacv1.PolicyRule {
			return rbacv1.PolicyRule{APIGroups: []string{corev1.GroupName}, Resources: []string{resource}, Verbs: verbs}
		}
		submit.Verbs = []string{"create", "get", "list", "watch", "patch", "delete"}
		return []rbacv1.PolicyRule{
			submit,
			core("pods", "get", "list", "watch", "delete"),
			core("pods/log", "get"),
			core("events", "list"),
			// The resources of the agent's own containers have to fit these.
			core("limitranges", "list"),
			core("resourcequotas", "list"),
			// The run's record, which owns everything else of the run.
			core("configmaps", "create", "get", "update", "delete"),
			// The run's Redis credential, which pods mount. Secrets are deleted with the run's record, which owns them.
			core("secrets", "create"),
		}
	default:
		return nil
	}
}

// sameRules compares rules without their order, which has no meaning in RBAC.
func sameRules(a, b []rbacv1.PolicyRule) bool {
	return slices.Equal(ruleKeys(a), ruleKeys(b))
}

func ruleKeys(rules []rbacv1.PolicyRule) []string {
	var keys []string
	for i := range rules {
		r := rules[i].DeepCopy() // it is sorted
		for _, part := range [][]string{r.APIGroups, r.Resources, r.Verbs, r.ResourceNames, r.NonResourceURLs} {
			slices.Sort(part)
		}
		keys = append(keys, r.String())
	}
	slices.Sort(keys)
	return keys
}
