package kube_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// counted returns a client of the test cluster that counts its requests.
type counted struct {
	*kube.Client
	mutex sync.Mutex
	seen  map[string]int // by "GET", "LIST" …
}

func newCounted(t *testing.T, config *rest.Config) *counted {
	t.Helper()
	c := &counted{seen: map[string]int{}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			verb := r.Method
			if r.URL.Query().Has("labelSelector") {
				verb = "LIST"
			}
			c.mutex.Lock()
			c.seen[verb]++
			c.mutex.Unlock()
			return next.RoundTrip(r)
		})
	})
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	c.Client = client
	return c
}

// since returns the requests since its last call.
func (c *counted) since() string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	text := fmt.Sprintf("%d GET, %d LIST", c.seen["GET"], c.seen["LIST"])
	clear(c.seen)
	return text
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func admin(t *testing.T) *rest.Config {
	t.Helper()
	return must(t)(kube.Connection{ConfigPath: clustertest.Getenv(t, "KUBECONFIG")}.Config())
}

// six creates six objects; all but the last have the label.
func six(t *testing.T, c *kube.Client, ns string) []*corev1.ConfigMap {
	t.Helper()
	var made []*corev1.ConfigMap
	for i := range 6 {
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("m", i)}, Data: map[string]string{"n": fmt.Sprint(i)}}
		if i < 5 {
			m.Labels = map[string]string{"snapshot": ns}
		}
		if err := c.Create(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		made = append(made, m)
	}
	return made
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	c, ns := newCounted(t, admin(t)), clustertest.Namespace(t)
	made := six(t, c.Client, ns)
	snapshot, err := kube.NewSnapshot(c.Client, "snapshot="+ns, &corev1.ConfigMapList{})
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) *corev1.ConfigMap {
		t.Helper()
		got := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		if err := snapshot.Get(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	requested := func(what, want string) {
		t.Helper()
		if got := c.since(); got != want {
			t.Errorf("%s: requested %s, want %s", what, got, want)
		}
	}
	c.since()

	for i := range 5 {
		if got := read(made[i].Name); got.UID != made[i].UID || got.Data["n"] != fmt.Sprint(i) {
			t.Errorf("read %s with %v", got.Name, got.Data)
		}
	}
	requested("two reads and three more", "2 GET, 1 LIST")

	read("m0").Data["n"] = "changed by the reader"
	if got := read("m0").Data["n"]; got != "0" {
		t.Errorf("a reader sees %q, which another reader wrote into its own copy", got)
	}
	requested("what is in the list", "0 GET, 0 LIST")

	read("m5")
	requested("an object without the label", "1 GET, 0 LIST")
	err = snapshot.Get(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"}})
	if !apierrors.IsNotFound(err) {
		t.Errorf("an object that is not there: %v", err)
	}
	requested("an object that is not there", "1 GET, 0 LIST")

	var list corev1.ConfigMapList
	if err := snapshot.List(t.Context(), &list, ns, "snapshot="+ns); err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(list.Items))
	for i, item := range list.Items {
		names[i] = item.Name
	}
	slices.Sort(names)
	if want := []string{"m0", "m1", "m2", "m3", "m4"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
	if err := snapshot.List(t.Context(), &corev1.ConfigMapList{}, "default", "snapshot="+ns); err != nil {
		t.Fatal(err)
	}
	requested("lists of single namespaces", "0 GET, 0 LIST")

	if err := c.MergePatch(t.Context(), made[1].DeepCopy(), []byte(`{"data":{"n":"new"}}`)); err != nil {
		t.Fatal(err)
	}
	if got := read("m1").Data["n"]; got != "new" {
		t.Errorf("after a write of this process it reads %q", got)
	}
	requested("a read after a write", "1 GET, 0 LIST")
}

// TestSnapshotConcurrentReads checks that concurrent reads wait for one list.
func TestSnapshotConcurrentReads(t *testing.T) {
	t.Parallel()
	c, ns := newCounted(t, admin(t)), clustertest.Namespace(t)
	made := six(t, c.Client, ns)
	snapshot, err := kube.NewSnapshot(c.Client, "snapshot="+ns, &corev1.ConfigMapList{})
	if err != nil {
		t.Fatal(err)
	}
	c.since()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			m := made[i%5]
			if err := snapshot.Get(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: m.Name}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, want := c.since(), "2 GET, 1 LIST"; got != want {
		t.Errorf("50 reads at once requested %s, want %s", got, want)
	}
}

// TestSnapshotListForbidden checks that a client without the permission to list reads single objects.
func TestSnapshotListForbidden(t *testing.T) {
	t.Parallel()
	own, ns := clustertest.Client(t), clustertest.Namespace(t)
	made := six(t, own, ns)
	in := metav1.ObjectMeta{Namespace: ns, Name: "reader"}
	for _, object := range []kube.Object{
		&corev1.ServiceAccount{ObjectMeta: in},
		&rbacv1.Role{ObjectMeta: in, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}}}},
		&rbacv1.RoleBinding{ObjectMeta: in, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: "reader"}}},
	} {
		if err := own.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	var token authenticationv1.TokenRequest
	if err := own.CreateToken(t.Context(), ns, "reader", &token); err != nil {
		t.Fatal(err)
	}
	ca, err := own.CA()
	if err != nil {
		t.Fatal(err)
	}
	c := newCounted(t, must(t)(kube.Connection{Host: own.Host(), Token: token.Status.Token, ClusterCACertificate: string(ca)}.Config()))
	snapshot, err := kube.NewSnapshot(c.Client, "snapshot="+ns, &corev1.ConfigMapList{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		if err := snapshot.Get(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: m.Name}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := c.since(), "6 GET, 1 LIST"; got != want {
		t.Errorf("requested %s, want %s", got, want)
	}
}

// TestListByPages checks that a list is read in pages, and as a whole if the server has forgotten the state of which it was a page.
func TestListByPages(t *testing.T) {
	t.Parallel()
	pages := map[string]corev1.ConfigMapList{
		"/500":      configMapPage("two", "a", "b"),
		"two/500":   configMapPage("three", "c"),
		"three/500": configMapPage("", "d"),
		"/":         configMapPage("", "a", "b", "c", "d"),
	}
	for name, tt := range map[string]struct {
		expired string // the page whose state is forgotten
		want    []string
	}{
		"three pages":           {"", []string{"/500", "two/500", "three/500"}},
		"an expired page":       {"two/500", []string{"/500", "two/500", "/"}},
		"the last page expired": {"three/500", []string{"/500", "two/500", "three/500", "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				page := r.URL.Query().Get("continue") + "/" + r.URL.Query().Get("limit")
				asked = append(asked, page)
				w.Header().Set("Content-Type", "application/json")
				var answer any = pages[page]
				if page == tt.expired {
					status := apierrors.NewResourceExpired("the continue token is too old").Status()
					status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
					answer = status
					w.WriteHeader(http.StatusGone)
				}
				if err := json.NewEncoder(w).Encode(answer); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			client := newClient(t, must(t)(kube.Connection{Host: server.URL}.Config()))
			var list corev1.ConfigMapList
			if err := client.List(t.Context(), &list, "ns", "a=b"); err != nil {
				t.Fatal(err)
			}
			names := ""
			for _, item := range list.Items {
				names += item.Name
			}
			if names != "abcd" || !slices.Equal(asked, tt.want) || list.ResourceVersion != "7" || list.Continue != "" {
				t.Errorf("listed %q at version %q, asked for pages %q, want %q", names, list.ResourceVersion, asked, tt.want)
			}
		})
	}
}

// configMapPage returns one page of a list, with the token of the next one.
func configMapPage(next string, names ...string) corev1.ConfigMapList {
	list := corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}}
	list.ResourceVersion, list.Continue = "7", next
	for _, name := range names {
		list.Items = append(list.Items, corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return list
}
