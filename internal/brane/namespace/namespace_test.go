package namespace_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

func smallest() namespace.Spec {
	return namespace.Spec{
		Name: clustertest.Name("ns"), Labels: map[string]string{"team": "imaging"}, ServiceAccount: "runner", Access: namespace.AccessRun,
	}
}

// fullest returns a Spec in which every field differs from its default.
func fullest() namespace.Spec {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	spec := smallest()
	spec.Annotations = map[string]string{"example.org/note": "n"}
	spec.CommonLabels, spec.CommonAnnotations = map[string]string{"team": "all", "cost": "4711"}, map[string]string{"contact": "admin"}
	spec.PodSecurity = namespace.PodSecurity{Enforce: "baseline", Audit: "restricted", Warn: "restricted", Version: "v1.35"}
	spec.AccountLabels, spec.AccountAnnotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
	spec.PullSecrets = []string{"of-others"}
	spec.LongLivedToken = true
	spec.Access = ""
	spec.Rules = []rbacv1.PolicyRule{
		{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "get"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}, ResourceNames: []string{"one"}},
	}
	spec.Subjects = []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "imaging"}}
	spec.ResourceQuota = corev1.ResourceList{"pods": resource.MustParse("50"), "requests.cpu": resource.MustParse("1500m")}
	spec.LimitRange = namespace.LimitRange{Default: list("1", "1Gi"), DefaultRequest: list("100m", "64Mi"), Max: list("4", "8Gi"), Min: list("10m", "4Mi")}
	spec.Network = &namespace.Network{
		DNS:     true,
		Egress:  map[string]namespace.Traffic{"redis": {CIDRs: []string{"198.51.100.10/32"}, Ports: []int32{6379}, Protocols: []string{"TCP"}}},
		Ingress: map[string]namespace.Traffic{"scrape": {CIDRs: []string{"10.0.0.0/8"}, Ports: []int32{9090}, Protocols: []string{"TCP"}}},
	}
	spec.RegistryCredentials = map[string]namespace.Registry{"198.51.100.10:50050": {Username: "puller", Password: "first", Version: 1}}
	return spec
}

// create creates a namespace that is deleted when the test ends.
func create(t *testing.T, c *kube.Client, spec namespace.Spec) namespace.Spec {
	t.Helper()
	cleanUp(t, c, spec.Name)
	if _, err := namespace.Create(t.Context(), c, spec, false); err != nil {
		t.Fatal(err)
	}
	return spec
}

func cleanUp(t *testing.T, c *kube.Client, name string) {
	t.Helper()
	t.Cleanup(func() {
		ctx := testenv.Context(t)
		err := c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("clean up: %v", err)
		}
	})
}

func read(t *testing.T, c *kube.Client, spec namespace.Spec) namespace.State {
	t.Helper()
	state, err := namespace.Read(t.Context(), c, spec)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func change(t *testing.T, c *kube.Client, before, want namespace.Spec) {
	t.Helper()
	if _, err := namespace.Apply(t.Context(), c, before, want); err != nil {
		t.Fatal(err)
	}
	if left := read(t, c, want).Drift; len(left) > 0 {
		t.Errorf("after Apply still %q", left)
	}
}

func in(spec namespace.Spec) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: spec.Name, Name: spec.ServiceAccount}
}

func TestApplyRemovesOnlyOwnLabels(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c, smallest())
	foreign := []byte(`{"metadata":{"labels":{"others":"stay"}}}`)
	if err := c.MergePatch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}, foreign); err != nil {
		t.Fatal(err)
	}
	before := spec
	spec.Labels = map[string]string{"color": "blue"}
	change(t, c, before, spec)
	got := read(t, c, spec).Labels
	if got["others"] != "stay" || got["color"] != "blue" || got["team"] != "" {
		t.Errorf("labels %v: want others and color, and team gone", got)
	}
}

func TestDiscover(t *testing.T) {
	c := clustertest.Client(t)
	for name, spec := range map[string]namespace.Spec{"the smallest": smallest(), "the fullest": fullest()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			create(t, c, spec)
			got, err := namespace.Discover(t.Context(), c, spec.Name, "default-account")
			if err != nil {
				t.Fatal(err)
			}
			for host, r := range spec.RegistryCredentials {
				r.Password = "" // is not told
				spec.RegistryCredentials[host] = r
			}
			if diff := cmp.Diff(spec, got, cmp.Transformer("noEmpty", noEmpty)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// noEmpty replaces empty maps by nil, to compare Specs.
func noEmpty(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

func TestCreateExistingNamespace(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	taken := clustertest.Namespace(t)
	_, err := namespace.Create(t.Context(), c, namespace.Spec{Name: taken, ServiceAccount: "brane", Access: namespace.AccessRun}, false)
	if !errors.Is(err, namespace.ErrExists) {
		t.Errorf("got %v, want ErrExists", err)
	}
}

func TestCreateWaitsForTerminatingNamespace(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c, smallest())
	before := read(t, c, spec)
	if err := c.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}); err != nil {
		t.Fatal(err)
	}
	ctx := testenv.Context(t)
	if _, err := namespace.Create(ctx, c, spec, false); err != nil {
		t.Fatal(err)
	}
	if read(t, c, spec).UID == before.UID {
		t.Error("it is still the old namespace")
	}
}

func TestDeleteReportsRemainingObjects(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c, smallest())
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: spec.Name, Name: "held", Finalizers: []string{"example.org/hold"}}}
	if err := c.Create(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}
	if err := errors.Join(c.Get(t.Context(), ns), c.Delete(t.Context(), ns)); err != nil {
		t.Fatal(err)
	}
	testenv.Await(t, "a condition by the namespace controller", func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, ns)
		return len(ns.Status.Conditions) > 0, err
	})
	ctx, done := context.WithTimeout(t.Context(), 5*time.Second)
	defer done()
	err := namespace.Delete(ctx, c, spec.Name, string(ns.UID))
	var remains *namespace.RemainsError
	if !errors.As(err, &remains) || !slices.ContainsFunc(remains.Conditions, func(s string) bool {
		return s == "NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.org/hold in 1 resource instances"
	}) {
		t.Errorf("got %v, want the finalizer named", err)
	}
	if err := c.MergePatch(t.Context(), held, []byte(`{"metadata":{"finalizers":null}}`)); err != nil {
		t.Fatal(err)
	}
	if err := namespace.Delete(t.Context(), c, spec.Name, string(ns.UID)); err != nil {
		t.Error(err)
	}
}

func TestCreateCompletesUnfinishedNamespace(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := smallest()
	cleanUp(t, c, spec.Name)
	begun := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name, Annotations: map[string]string{"terraform-provider-brane/unfinished": "true"}}}
	if err := c.Create(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	state, err := namespace.Create(t.Context(), c, spec, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, spec); len(got.Drift) > 0 || got.UID != string(begun.UID) || state.UID != got.UID {
		t.Errorf("got %+v, want the namespace %s without drift", got, begun.UID)
	}
}

func TestAdoptAndRetain(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := fullest()
	cleanUp(t, c, spec.Name)
	theirs := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name, Labels: map[string]string{"others": "stay"}}}
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: spec.Name, Name: "kept"}}
	for _, object := range []kube.Object{theirs, kept} {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := namespace.Create(t.Context(), c, spec, true); err != nil {
		t.Fatal(err)
	}
	got := read(t, c, spec)
	if len(got.Drift) > 0 || got.UID != string(theirs.UID) || got.Labels["others"] != "stay" {
		t.Errorf("adopted: %+v", got)
	}
	if err := namespace.Retain(t.Context(), c, spec); err != nil {
		t.Fatal(err)
	}
	released := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}
	if err := c.Get(t.Context(), released); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"others": "stay", corev1.LabelMetadataName: spec.Name}
	if diff := cmp.Diff(want, released.Labels); diff != "" || len(released.Annotations) > 0 {
		t.Errorf("annotations %v, labels -want +got:\n%s", released.Annotations, diff)
	}
	if err := c.Get(t.Context(), kept); err != nil {
		t.Error(err)
	}
	for _, list := range []kube.List{
		&corev1.ServiceAccountList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{}, &corev1.ResourceQuotaList{}, &corev1.LimitRangeList{}, &corev1.SecretList{},
	} {
		if err := c.List(t.Context(), list, spec.Name, namespace.ManagedByLabel); err != nil {
			t.Fatal(err)
		}
		if n := list.GetRemainingItemCount(); n != nil {
			t.Errorf("%d more", *n)
		}
	}
}

// TestReadManyNamespaces checks that a plan of many namespaces sends three requests for each kind, whatever their number.
func TestReadManyNamespaces(t *testing.T) {
	t.Parallel()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, "KUBECONFIG")}.Config()
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counter{&requests, next} })
	c, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	specs := make([]namespace.Spec, 5)
	for i := range specs {
		specs[i] = create(t, clustertest.Client(t), smallest())
	}
	if err := clustertest.Client(t).Delete(t.Context(), &rbacv1.Role{ObjectMeta: in(specs[4])}); err != nil {
		t.Fatal(err)
	}
	reader, err := namespace.NewReader(c)
	if err != nil {
		t.Fatal(err)
	}
	for i, spec := range specs {
		state, err := namespace.Read(t.Context(), reader, spec)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		if i == 4 {
			want = []string{`Role "runner" is missing`}
		}
		if !slices.Equal(state.Drift, want) {
			t.Errorf("drift %q, want %q", state.Drift, want)
		}
	}
	const kinds, missing = 7, 1
	if got := requests.Load(); got > 3*kinds+missing {
		t.Errorf("%d requests for five namespaces", got)
	}
}

// counter counts requests.
type counter struct {
	requests *atomic.Int64
	next     http.RoundTripper
}

func (c counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.next.RoundTrip(r)
}
