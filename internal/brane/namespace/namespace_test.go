package namespace_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// create makes a namespace that is deleted when the test ends.
func create(t *testing.T, c *kube.Client) namespace.Spec {
	t.Helper()
	spec := namespace.Spec{
		Name: clustertest.Name("ns"), Labels: map[string]string{"team": "imaging"}, ServiceAccount: "runner", Access: namespace.AccessRun,
	}
	if err := namespace.Create(t.Context(), c, spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, done := context.WithTimeout(context.Background(), time.Minute)
		defer done()
		if err := c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}); err != nil {
			t.Logf("clean up: %v", err) // the test may have deleted it itself
		}
	})
	return spec
}

func read(t *testing.T, c *kube.Client, spec namespace.Spec) namespace.State {
	t.Helper()
	state, err := namespace.Read(t.Context(), c, spec)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func in(spec namespace.Spec) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: spec.Name, Name: spec.ServiceAccount}
}

func TestDrift(t *testing.T) {
	c := clustertest.Client(t)
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		meddle func(*testing.T, namespace.Spec)
		want   []string
	}{
		"nobody meddles": {func(*testing.T, namespace.Spec) {}, nil},
		"others add labels and annotations to everything": {func(t *testing.T, spec namespace.Spec) {
			patch := []byte(`{"metadata":{"labels":{"field.example.org/project":"p1"},"annotations":{"example.org/note":"x"}}}`)
			must(t, c.MergePatch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}, patch))
			must(t, c.MergePatch(t.Context(), &corev1.ServiceAccount{ObjectMeta: in(spec)}, patch))
			must(t, c.MergePatch(t.Context(), &rbacv1.Role{ObjectMeta: in(spec)}, patch))
			must(t, c.MergePatch(t.Context(), &rbacv1.RoleBinding{ObjectMeta: in(spec)}, patch))
		}, nil},
		"the service account is deleted": {func(t *testing.T, spec namespace.Spec) {
			must(t, c.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: in(spec)}))
		}, []string{`ServiceAccount "runner" is missing`}},
		"the service account mounts its token": {func(t *testing.T, spec namespace.Spec) {
			must(t, c.MergePatch(t.Context(), &corev1.ServiceAccount{ObjectMeta: in(spec)}, []byte(`{"automountServiceAccountToken":true}`)))
		}, []string{`ServiceAccount "runner" has other automountServiceAccountToken`}},
		"the role allows more": {func(t *testing.T, spec namespace.Spec) {
			must(t, c.MergePatch(t.Context(), &rbacv1.Role{ObjectMeta: in(spec)}, []byte(`{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`)))
		}, []string{`Role "runner" has other rules`}},
		"the role is deleted": {func(t *testing.T, spec namespace.Spec) {
			must(t, c.Delete(t.Context(), &rbacv1.Role{ObjectMeta: in(spec)}))
		}, []string{`Role "runner" is missing`}},
		"the binding is deleted": {func(t *testing.T, spec namespace.Spec) {
			must(t, c.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: in(spec)}))
		}, []string{`RoleBinding "runner" is missing`}},
		"the binding has another subject beside": {func(t *testing.T, spec namespace.Spec) {
			must(t, c.MergePatch(t.Context(), &rbacv1.RoleBinding{ObjectMeta: in(spec)},
				[]byte(`{"subjects":[{"kind":"ServiceAccount","name":"runner","namespace":"`+spec.Name+`"},{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"eve"}]}`)))
		}, []string{`RoleBinding "runner" has other subjects`}},
		"the binding points at another role": {func(t *testing.T, spec namespace.Spec) {
			must(t, c.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: in(spec)}))
			must(t, c.Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: in(spec), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"}}))
		}, []string{`RoleBinding "runner" has other roleRef`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := create(t, c)
			before := read(t, c, spec)
			tt.meddle(t, spec)
			if got := read(t, c, spec).Drift; !slices.Equal(got, tt.want) {
				t.Errorf("drift %q, want %q", got, tt.want)
			}
			if err := namespace.Apply(t.Context(), c, spec); err != nil {
				t.Fatal(err)
			}
			after := read(t, c, spec)
			if len(after.Drift) > 0 {
				t.Errorf("after Apply still %q", after.Drift)
			}
			if after.UID != before.UID {
				t.Error("the namespace was made anew to repair what is in it")
			}
		})
	}
}

func TestApplyLetsGoOfItsOwnLabelsOnly(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c)
	foreign := []byte(`{"metadata":{"labels":{"others":"stay"}}}`)
	if err := c.MergePatch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}, foreign); err != nil {
		t.Fatal(err)
	}
	spec.Labels = map[string]string{"color": "blue"}
	if err := namespace.Apply(t.Context(), c, spec); err != nil {
		t.Fatal(err)
	}
	got := read(t, c, spec).Labels
	if got["others"] != "stay" || got["color"] != "blue" || got["team"] != "" {
		t.Errorf("labels %v: want others and color, and team gone", got)
	}
}

func TestDiscoverFindsWhatWasWanted(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c)
	spec.Access = namespace.AccessSubmit
	if err := namespace.Apply(t.Context(), c, spec); err != nil {
		t.Fatal(err)
	}
	got, err := namespace.Discover(t.Context(), c, spec.Name, "default-account")
	if err != nil {
		t.Fatal(err)
	}
	if got.Access != spec.Access || got.ServiceAccount != spec.ServiceAccount || got.Labels["team"] != "imaging" || len(got.Labels) != 1 {
		t.Errorf("got %+v, want %+v", got, spec)
	}
}

func TestCreateRefusesATakenName(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	taken := clustertest.Namespace(t)
	err := namespace.Create(t.Context(), c, namespace.Spec{Name: taken, ServiceAccount: "brane", Access: namespace.AccessRun})
	if !errors.Is(err, namespace.ErrExists) {
		t.Errorf("got %v, want ErrExists", err)
	}
}

func TestCreateWaitsForTheNamespaceThatGoes(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c)
	before := read(t, c, spec)
	if err := c.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: spec.Name}}); err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(t.Context(), 3*time.Minute)
	defer done()
	if err := namespace.Create(ctx, c, spec); err != nil {
		t.Fatal(err)
	}
	if read(t, c, spec).UID == before.UID {
		t.Error("it is still the old namespace")
	}
}

func TestDeleteSaysWhatRemains(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := create(t, c)
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: spec.Name, Name: "held", Finalizers: []string{"example.org/hold"}}}
	if err := c.Create(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(t.Context(), 20*time.Second)
	defer done()
	err := namespace.Delete(ctx, c, spec.Name)
	var remains *namespace.RemainsError
	if !errors.As(err, &remains) || !slices.ContainsFunc(remains.Conditions, func(s string) bool {
		return s == "NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.org/hold in 1 resource instances"
	}) {
		t.Errorf("got %v, want the finalizer named", err)
	}
	if err := c.MergePatch(t.Context(), held, []byte(`{"metadata":{"finalizers":null}}`)); err != nil {
		t.Fatal(err)
	}
	if err := namespace.Delete(t.Context(), c, spec.Name); err != nil {
		t.Error(err)
	}
}

func TestEveryAccessHasRules(t *testing.T) {
	for _, access := range namespace.Accesses() {
		if len(namespace.Access(access).Rules()) == 0 {
			t.Errorf("access %q has no rules", access)
		}
	}
}

// A plan over many namespaces asks for each kind three times, however many there are.
func TestReadManyWithFewRequests(t *testing.T) {
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
		specs[i] = create(t, clustertest.Client(t))
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
	const kinds, missing = 4, 1
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
