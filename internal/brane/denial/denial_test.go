package denial

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// TestParse checks messages of Kubernetes 1.35, as errors and as events of a Job.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		message string
		cause   Cause
		remedy  []string
		not     []string
	}{
		"a missing permission": {
			`jobs.batch is forbidden: User "system:serviceaccount:brane:brane" cannot create resource "jobs" in API group "batch" in the namespace "brane"`, Permission,
			[]string{"kind: Role\n", "namespace: brane", "- batch", "- jobs", "- create", "kind: ServiceAccount\n  name: brane\n", `set its access to "run"`}, []string{"ClusterRole"},
		},
		"a missing permission for a subresource, with a reason": {
			`pods "x" is forbidden: User "ada@example.org" cannot get resource "pods/log" in API group "" in the namespace "brane": requires one of ["container.pods.getLogs"] permission(s).`, Permission,
			[]string{"- pods/log", "name: terraform-provider-brane-get-pods-log", "kind: User\n  name: ada@example.org", `"Permissions of the provider"`}, []string{"ClusterRole", "access"},
		},
		"a missing permission in the cluster": {
			`namespaces is forbidden: User "ada" cannot create resource "namespaces" in API group "" at the cluster scope`, Permission,
			[]string{"kind: ClusterRole\n", "kind: ClusterRoleBinding\n", "- namespaces"}, nil,
		},
		"a missing permission for a path": {
			`forbidden: User "ada" cannot get path "/version"`, Permission, []string{"nonResourceURLs:\n  - /version", "kind: ClusterRole\n"}, nil,
		},
		"nobody": {
			`namespaces is forbidden: User "system:anonymous" cannot create resource "namespaces" in API group "" at the cluster scope`, Permission,
			[]string{"without credentials", "Do not grant"}, []string{"kind:", "apply"},
		},
		"an escalation": {
			`roles.rbac.authorization.k8s.io "run" is forbidden: user "ada" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:` + "\n" +
				`{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}` + "\n" + `{APIGroups:["batch"], Resources:["jobs"], ResourceNames:["a"], Verbs:["create"]}`, Escalation,
			[]string{"- pods\n  verbs:\n  - get\n  - list", "resourceNames:\n  - a", "kind: ClusterRole\n"}, nil,
		},
		"a quota on Jobs": {
			`jobs.batch "only-1" is forbidden: exceeded quota: brane, requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=3`, Quota,
			[]string{`ResourceQuota "brane" of the namespace allows 3 count/jobs.batch, of which 3 are used and 1 more are requested`, "Finished Jobs count", "kubectl -n brane delete jobs --field-selector status.successful=1", "resource_quota"},
			[]string{"Role", "permission"},
		},
		"a quota on Secrets": {
			`secrets "t" is forbidden: exceeded quota: brane, requested: secrets=1, used: secrets=5, limited: secrets=5.`, Quota, []string{"of which 5 are used", "up to three Secrets"}, []string{"Role", "5."},
		},
		"a quota that is too small": {
			`Error creating: pods "a-x7" is forbidden: exceeded quota: brane, requested: limits.cpu=2,pods=1, used: limits.cpu=0,pods=0, limited: limits.cpu=1,pods=4`, Quota,
			[]string{"waiting does not help"}, []string{"Wait until"},
		},
		"a quota that others use": {
			`Error creating: pods "a-x7" is forbidden: exceeded quota: brane, requested: limits.cpu=500m, used: limits.cpu=1, limited: limits.cpu=1`, Quota, []string{"Wait until other pods have ended"}, []string{"does not help"},
		},
		"a quota that demands limits": {
			`pods "a" is forbidden: failed quota: brane: must specify limits.cpu for: stage,step; limits.memory for: stage,step`, QuotaDemand, []string{`ResourceQuota "brane" only admits`, "limit_range.default"}, nil,
		},
		"a quota that is not counted yet": {
			`pods "a" is forbidden: status unknown for quota: brane, resources: pods`, QuotaUnknown, []string{"Run Terraform again"}, nil,
		},
		"use without a quota": {`pods "a" is forbidden: insufficient quota to consume: requests.nvidia.com/gpu`, Quota, []string{"none allows this"}, nil},
		"a LimitRange": {
			`Error creating: pods "a" is forbidden: [maximum memory usage per Container is 100Mi, but limit is 128Mi, minimum cpu usage per Pod is 1.5.  No request is specified, cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000]`,
			LimitRange, []string{"limit_range of brane_namespace", "kubectl -n brane describe limitrange"}, []string{"Role"},
		},
		"Pod Security": {
			`pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "step" must set securityContext.runAsNonRoot=true)`, PodSecurity,
			[]string{`level "restricted"`, "run_as_user", "pod_security.enforce"}, []string{"Role"},
		},
		"Pod Security and capabilities": {
			`pods "a" is forbidden: violates PodSecurity "baseline:v1.30": non-default capabilities (container "step" must not include "NET_ADMIN" in securityContext.capabilities.add)`, PodSecurity,
			[]string{`level "baseline"`, "security_context.capabilities"}, nil,
		},
		"a webhook":                     {`admission webhook "validate.kyverno.svc-fail" denied the request: resource Job/x was blocked`, Webhook, []string{`"validate.kyverno.svc-fail"`}, nil},
		"a webhook that says forbidden": {`pods "a" is forbidden: admission webhook "w" denied the request without explanation`, Webhook, []string{`"w"`}, []string{"kind: Role"}},
		"a webhook about permissions": {
			`admission webhook "w" denied the request: User "ada" cannot create resource "jobs" in API group "batch" in the namespace "brane"`, Webhook, []string{`"w"`}, []string{"kind: Role"},
		},
		"a webhook that does not answer": {
			`Internal error occurred: failed calling webhook "w": failed to call webhook: Post "https://w.svc/": context deadline exceeded`, WebhookError, []string{"could not call"}, nil,
		},
		"a policy": {
			`namespaces "a" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'all' denied request: label example.org/team`, Policy, []string{`"team"`}, []string{"kind: Role"},
		},
		"a namespace that is being deleted": {`pods "a" is forbidden: unable to create new content in namespace brane because it is being terminated`, Terminating, []string{"Wait until it is gone"}, nil},
		"a missing service account": {
			`Error creating: pods "a-" is forbidden: error looking up service account brane/trainer: serviceaccount "trainer" not found`, MissingObject, []string{`"trainer"`, "service_account_name"}, nil,
		},
		"a missing priority class": {`pods "a" is forbidden: no PriorityClass with name high was found`, MissingObject, []string{`"high"`}, nil},
		"a missing runtime class":  {`pods "a" is forbidden: pod rejected: RuntimeClass "kata" not found`, MissingObject, []string{`"kata"`}, nil},
		"another plugin":           {`pods "a" is forbidden: pod node label selector conflicts with its namespace node label selector`, Other, []string{"admission rule"}, []string{"kind: Role"}},
	} {
		found, isDenied := Parse(tt.message)
		if !isDenied || found.Cause != tt.cause {
			t.Errorf("%s: %t, %+v", name, isDenied, found)
			continue
		}
		remedy := found.Remedy("brane")
		for _, want := range tt.remedy {
			if !strings.Contains(remedy, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, remedy)
			}
		}
		for _, bad := range tt.not {
			if strings.Contains(remedy, bad) {
				t.Errorf("%s: %q is in\n%s", name, bad, remedy)
			}
		}
	}
	for _, message := range []string{"", "not found", `jobs.batch "a" already exists`, "pod a was forbidden fruit"} {
		if found, isDenied := Parse(message); isDenied {
			t.Errorf("%q is %+v", message, found)
		}
	}
}

// TestBounds checks the values of a LimitRange's message, also the trailing period of a value.
func TestBounds(t *testing.T) {
	t.Parallel()
	found, _ := Parse(`pods "a" is forbidden: [maximum memory usage per Container is 100Mi, but limit is 128Mi, minimum cpu usage per Pod is 1.5.  No request is specified, ` +
		`cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000, memory max limit to request ratio per Pod is 1, but no request is specified or request is 0]`)
	const want = "[{maximum memory Container 100Mi limit 128Mi} {minimum cpu Pod 1.5 request } {ratio cpu Container 2 ratio 4.000000} {ratio memory Pod 1 ratio }]"
	if got := fmt.Sprint(found.Bounds); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestFind checks that the answer of an API server is found in an error, and only there.
func TestFind(t *testing.T) {
	t.Parallel()
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	denied := apierrors.NewForbidden(jobs, "a", errors.New("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"))
	if found, isDenied := Find(fmt.Errorf("create: %w", denied)); !isDenied || found.Cause != Quota {
		t.Errorf("a quota is %t, %+v", isDenied, found)
	}
	// The default status code of a denial by a webhook is 400.
	if found, isDenied := Find(apierrors.NewBadRequest(`admission webhook "w" denied the request: no`)); !isDenied || found.Cause != Webhook {
		t.Errorf("a webhook is %t, %+v", isDenied, found)
	}
	for _, err := range []error{nil, errors.New(`jobs is forbidden: User "a" cannot`), apierrors.NewNotFound(jobs, "a"), apierrors.NewConflict(jobs, "is forbidden: no", errors.New("x"))} {
		if found, isDenied := Find(err); isDenied {
			t.Errorf("%v is %+v", err, found)
		}
	}
}

// FuzzParse checks that no message breaks the parser, and that a manifest is what it was made from.
func FuzzParse(f *testing.F) {
	f.Add(`jobs.batch is forbidden: User "ada: [x" cannot create resource "jobs" in API group "batch" in the namespace "brane"`)
	f.Add(`roles is forbidden: user "a" (groups=["x"]) is attempting to grant RBAC permissions not currently held:` + "\n" + `{APIGroups:["*"], Resources:["*"], Verbs:["*"]}`)
	f.Add(`pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: =, limited: pods=`)
	f.Add(`pods "a" is forbidden: [maximum memory usage per Container is 1.5.  No limit is specified]`)
	f.Fuzz(func(t *testing.T, message string) {
		found, isDenied := Parse(message)
		if isDenied && found.Remedy("ns") == "" {
			t.Errorf("nothing to do about %+v", found)
		}
		if found.User == "" || len(found.Rules) == 0 {
			return
		}
		text, err := found.manifest()
		if err != nil {
			t.Fatal(err)
		}
		_, second, _ := strings.Cut(text, "\n---\n")
		var binding rbacv1.RoleBinding
		if err := yaml.UnmarshalStrict([]byte(second), &binding); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if binding.Subjects[0].Kind == rbacv1.UserKind && strings.ToValidUTF8(found.User, "\ufffd") != binding.Subjects[0].Name {
			t.Errorf("user %q became %q", found.User, binding.Subjects[0].Name)
		}
	})
}
