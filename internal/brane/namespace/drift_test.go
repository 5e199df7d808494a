package namespace_test

import (
	"encoding/base64"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// edit is a change of one object by another client; without a patch the object is deleted.
type edit struct {
	object kube.Object
	patch  string
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// TestDrift deletes or edits each object of the fullest namespace in turn, and checks the sentence and the repair.
func TestDrift(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c, fullest())
	uid := read(t, c, spec).UID
	var (
		ns      = &corev1.Namespace{ObjectMeta: named(spec.Name)}
		account = &corev1.ServiceAccount{ObjectMeta: named("runner")}
		role    = &rbacv1.Role{ObjectMeta: named("runner")}
		binding = &rbacv1.RoleBinding{ObjectMeta: named("runner")}
		quota   = &corev1.ResourceQuota{ObjectMeta: named("brane")}
		limits  = &corev1.LimitRange{ObjectMeta: named("brane")}
		policy  = &networkingv1.NetworkPolicy{ObjectMeta: named("brane-egress-redis")}
		pull    = &corev1.Secret{ObjectMeta: named("brane-registries")}
		token   = &corev1.Secret{ObjectMeta: named("runner-token")}
	)
	others := `{"metadata":{"labels":{"field.example.org/project":"p1"},"annotations":{"example.org/theirs":"x"}}}`
	// One after the other in the same namespace: each finds it repaired.
	for _, tt := range []struct {
		name  string
		edits []edit
		want  []string
	}{
		{"nobody meddles", nil, nil},
		{"others add labels, annotations, quota and a pull secret", []edit{
			{ns, others}, {account, others}, {role, others}, {binding, others}, {quota, others}, {limits, others}, {policy, others}, {pull, others}, {token, others},
			{quota, `{"spec":{"hard":{"configmaps":"7"}}}`},
			{account, `{"imagePullSecrets":[{"name":"of-the-cluster"},{"name":"brane-registries"},{"name":"of-others"}]}`},
		}, nil},
		{"quantities and rules are written in another way", []edit{
			{quota, `{"spec":{"hard":{"requests.cpu":"1.5"}}}`},
			{limits, `{"spec":{"limits":[{"type":"Container","default":{"cpu":"1000m","memory":"1024Mi"},"defaultRequest":{"cpu":"0.1","memory":"64Mi"},"max":{"cpu":"4","memory":"8Gi"},"min":{"cpu":"0.01","memory":"4Mi"}}]}}`},
			{role, `{"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get"],"resourceNames":["one"]},{"apiGroups":["batch"],"resources":["jobs"],"verbs":["get","create"]}]}`},
			{binding, `{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"imaging"},{"kind":"ServiceAccount","name":"runner","namespace":"` + spec.Name + `"}]}`},
		}, nil},
		{"the service account is deleted, and the token with it", []edit{{token, ""}, {account, ""}},
			[]string{`ServiceAccount "runner" is missing`, `Secret "runner-token" is missing`}},
		{"the service account mounts its token", []edit{{account, `{"automountServiceAccountToken":true}`}}, []string{`ServiceAccount "runner" has different automountServiceAccountToken`}},
		{"the service account loses a pull secret", []edit{{account, `{"imagePullSecrets":[{"name":"of-others"}]}`}}, []string{`ServiceAccount "runner" has different imagePullSecrets`}},
		{"the service account loses a label", []edit{{account, `{"metadata":{"labels":{"a":null}}}`}}, []string{`ServiceAccount "runner" has different labels`}},
		{"the service account has another annotation", []edit{{account, `{"metadata":{"annotations":{"c":"x"}}}`}}, []string{`ServiceAccount "runner" has different annotations`}},
		{"the role allows more", []edit{{role, `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`}}, []string{`Role "runner" has different rules`}},
		{"the role loses the label by which we find it", []edit{{role, `{"metadata":{"labels":null}}`}}, []string{`Role "runner" has different labels`}},
		{"the role is deleted", []edit{{role, ""}}, []string{`Role "runner" is missing`}},
		{"the binding is deleted", []edit{{binding, ""}}, []string{`RoleBinding "runner" is missing`}},
		{"the binding has another subject beside", []edit{{binding, `{"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"eve"}]}`}}, []string{`RoleBinding "runner" has different subjects`}},
		{"the quota is deleted", []edit{{quota, ""}}, []string{`ResourceQuota "brane" is missing`}},
		{"the quota is raised", []edit{{quota, `{"spec":{"hard":{"pods":"51"}}}`}}, []string{`ResourceQuota "brane" has different hard limits`}},
		{"the limits are deleted", []edit{{limits, ""}}, []string{`LimitRange "brane" is missing`}},
		{"the limits are changed", []edit{{limits, `{"spec":{"limits":[{"type":"Container","max":{"cpu":"64"}}]}}`}}, []string{`LimitRange "brane" has different limits`}},
		{"a policy is deleted", []edit{{policy, ""}}, []string{`NetworkPolicy "brane-egress-redis" is missing`}},
		{"a policy lets all out", []edit{{policy, `{"spec":{"egress":[{}]}}`}}, []string{`NetworkPolicy "brane-egress-redis" has different rules`}},
		{"the pull secret is deleted", []edit{{pull, ""}}, []string{`Secret "brane-registries" is missing`}},
		{"the pull secret is edited", []edit{{pull, `{"data":{".dockerconfigjson":"eyJhdXRocyI6eyIxOTguNTEuMTAwLjEwOjUwMDUwIjp7InVzZXJuYW1lIjoicHVsbGVyIn19fQ=="}}`}},
			[]string{`Secret "brane-registries" has different credentials`}},
		{"the token's secret is deleted", []edit{{token, ""}}, []string{`Secret "runner-token" is missing`}},
		{"the default service account loses the pull secret", []edit{{&corev1.ServiceAccount{ObjectMeta: named("default")}, `{"imagePullSecrets":[{"name":"of-the-cluster"}]}`}},
			[]string{`ServiceAccount "default" lacks the image pull secret "brane-registries"`}},
		{"the default service account is deleted", []edit{{&corev1.ServiceAccount{ObjectMeta: named("default")}, ""}},
			[]string{`ServiceAccount "default" lacks the image pull secret "brane-registries"`}},
		{"the cluster invalidates the token", []edit{{token, `{"metadata":{"labels":{"kubernetes.io/legacy-token-invalid-since":"2026-01-02"}}}`}},
			[]string{`Secret "runner-token" contains a token that the cluster does not accept since 2026-01-02, because it was not used`}},
		{"the token is one of another service account", []edit{{token, `{"data":{"token":"` + base64.StdEncoding.EncodeToString([]byte("e30.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6bnM6b3RoZXIifQ.c2ln")) + `"}}`}},
			[]string{`Secret "runner-token" contains the token of another service account`}},
		{"the Pod Security level is lowered", []edit{{ns, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`}},
			[]string{`Namespace "` + spec.Name + `" has different labels: pod-security.kubernetes.io/enforce`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, e := range tt.edits {
				meddle(t, c, spec, e)
			}
			if got := read(t, c, spec).Drift; !slices.Equal(got, tt.want) {
				t.Errorf("drift %q, want %q", got, tt.want)
			}
			change(t, c, spec, spec)
			if read(t, c, spec).UID != uid {
				t.Error("the namespace was made anew to repair what is in it")
			}
		})
	}
}

func meddle(t *testing.T, c *kube.Client, spec namespace.Spec, e edit) {
	t.Helper()
	object := kube.Empty(e.object)
	object.SetName(e.object.GetName())
	if _, ok := object.(*corev1.Namespace); !ok {
		object.SetNamespace(spec.Name)
	}
	err := error(nil)
	if e.patch == "" {
		err = c.Delete(t.Context(), object)
	} else {
		err = c.MergePatch(t.Context(), object, []byte(e.patch))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDriftOfRoleRef(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c, smallest())
	meddle(t, c, spec, edit{&rbacv1.RoleBinding{ObjectMeta: named("runner")}, ""})
	other := &rbacv1.RoleBinding{ObjectMeta: in(spec), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"}}
	if err := c.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, c, spec).Drift, []string{`RoleBinding "runner" has different roleRef`}; !slices.Equal(got, want) {
		t.Errorf("drift %q, want %q", got, want)
	}
	change(t, c, spec, spec)
}

// TestApplyDeletesRemovedObjects checks that objects are deleted that the Spec does not contain any more, even if other clients have changed them.
func TestApplyDeletesRemovedObjects(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	before := create(t, c, fullest())
	want := smallest()
	want.Name, want.ServiceAccount = before.Name, "other"
	left := []string{
		`Namespace "` + before.Name + `" has different labels: cost, pod-security.kubernetes.io/audit, pod-security.kubernetes.io/audit-version, pod-security.kubernetes.io/enforce, pod-security.kubernetes.io/enforce-version, pod-security.kubernetes.io/warn, pod-security.kubernetes.io/warn-version`,
		`Namespace "` + before.Name + `" has different annotations: contact, example.org/note`,
		`ServiceAccount "other" is missing`, `Role "other" is missing`, `RoleBinding "other" is missing`,
		`LimitRange "brane" is no longer configured`, `NetworkPolicy "brane-default-deny" is no longer configured`, `NetworkPolicy "brane-dns" is no longer configured`,
		`NetworkPolicy "brane-egress-redis" is no longer configured`, `NetworkPolicy "brane-ingress-scrape" is no longer configured`, `ResourceQuota "brane" is no longer configured`,
		`Role "runner" is no longer configured`, `RoleBinding "runner" is no longer configured`, `ServiceAccount "runner" is no longer configured`,
	}
	if got := read(t, c, want).Drift; !slices.Equal(got, left) {
		t.Errorf("drift %q\nwant  %q", got, left)
	}
	change(t, c, before, want)
	var secrets corev1.SecretList
	if err := c.List(t.Context(), &secrets, want.Name, namespace.ManagedByLabel); err != nil || len(secrets.Items) > 0 {
		t.Errorf("%v; %d secrets are left", err, len(secrets.Items))
	}
}

func TestApplyRemovesOneQuotaLimit(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	before := create(t, c, fullest())
	meddle(t, c, before, edit{&corev1.ResourceQuota{ObjectMeta: named("brane")}, `{"spec":{"hard":{"configmaps":"7"}}}`})
	want := before
	want.ResourceQuota = corev1.ResourceList{"pods": resource.MustParse("50")}
	change(t, c, before, want)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: want.Name, Name: "brane"}}
	if err := c.Get(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	if _, there := quota.Spec.Hard["configmaps"]; !there || len(quota.Spec.Hard) != 2 {
		t.Errorf("the quota is %v, want pods, and configmaps of others", quota.Spec.Hard)
	}
}
