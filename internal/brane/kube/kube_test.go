package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// TestConnectionNeverFallsBack checks that a forgotten setting does not reach a cluster that the configuration does not name.
func TestConnectionNeverFallsBack(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere/kubeconfig")
	t.Setenv("KUBERNETES_SERVICE_HOST", "203.0.113.7")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	for name, tt := range map[string]struct {
		connection kube.Connection
		want       string
	}{
		"nothing is set":           {kube.Connection{}, kube.ErrNoConnection.Error()},
		"only a token is set":      {kube.Connection{Token: "t"}, kube.ErrNoConnection.Error()},
		"only a context is set":    {kube.Connection{ConfigContext: "admin"}, kube.ErrNoConnection.Error()},
		"the file is not there":    {kube.Connection{ConfigPath: "/nowhere/else"}, "read the kubeconfig /nowhere/else: no such file or directory"},
		"the proxy has no host":    {kube.Connection{Host: "https://203.0.113.7", ProxyURL: "nonsense"}, "proxy_url is not a URL with a host"},
		"not in a cluster, really": {kube.Connection{InCluster: true}, "use the service account of this pod: open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tt.connection.Config(); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestKubeconfigMustBeComplete checks that nothing that a kubeconfig lacks comes from elsewhere: client-go would take the cluster of the pod in which Terraform
// runs, or send the request as system:anonymous.
func TestKubeconfigMustBeComplete(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "203.0.113.7")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	const (
		cluster = "clusters: [{name: compute, cluster: {server: 'https://203.0.113.9:6443'}}]\n"
		user    = "users: [{name: admin, user: {token: secret}}]\n"
	)
	context := func(cluster, user string) string {
		return fmt.Sprintf("contexts: [{name: main, context: {cluster: %q, user: %q}}, {name: other, context: {cluster: %[1]q, user: %q}}]\n", cluster, user)
	}
	const noContexts = "it has no current context and no other context, so it names no cluster; set config_path (KUBE_CONFIG_PATH) to a complete kubeconfig"
	for name, tt := range map[string]struct{ content, selected, want string }{
		"no current context":    {cluster + user + context("compute", "admin"), "", "it has no current context; set config_context (KUBE_CTX) to one of its contexts: main, other"},
		"an unknown context":    {cluster + user + context("compute", "admin"), "staging", `it has no context "staging"; set config_context (KUBE_CTX) to one of its contexts: main, other`},
		"an empty file":         {"", "", noContexts},
		"a comment":             {"# nothing\n", "main", noContexts},
		"only its kind":         {"apiVersion: v1\nkind: Config\n", "", noContexts},
		"no cluster":            {cluster + user + context("", "admin"), "main", `context "main" names no cluster`},
		"an unknown cluster":    {cluster + user + context("storage", "admin"), "main", `context "main" names the cluster "storage", which the file does not have`},
		"no server":             {"clusters: [{name: compute, cluster: {}}]\n" + user + context("compute", "admin"), "main", `cluster "compute" has no server`},
		"no user":               {cluster + user + context("compute", ""), "main", `context "main" names no user`},
		"an unknown user":       {cluster + user + context("compute", "nobody"), "main", `context "main" names the user "nobody", which the file does not have`},
		"a context that is set": {cluster + user + context("compute", "admin"), "main", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			config, err := kube.Connection{ConfigPath: file, ConfigContext: tt.selected}.Config()
			if tt.want == "" {
				if err != nil || config.Host != "https://203.0.113.9:6443" || config.BearerToken != "secret" {
					t.Errorf("got %v, %v", config, err)
				}
				return
			}
			if want := "read the kubeconfig " + file + ": " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestConnectionByHost(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere/kubeconfig")
	config, err := kube.Connection{Host: "https://203.0.113.7:6443", Token: "t", ClusterCACertificate: "ca"}.Config()
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://203.0.113.7:6443" || config.BearerToken != "t" || string(config.CAData) != "ca" {
		t.Errorf("got host %q, token %q, CA %q", config.Host, config.BearerToken, config.CAData)
	}
}

// TestLogsOfMissingPod checks that the body of the error, which is protobuf, is not returned as a log.
func TestLogsOfMissingPod(t *testing.T) {
	text, err := clustertest.Client(t).Logs(t.Context(), clustertest.Namespace(t), "nowhere", "main", 10)
	if !apierrors.IsNotFound(err) || len(text) > 0 {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestVerbs(t *testing.T) {
	c, ns := clustertest.Client(t), clustertest.Namespace(t)
	ctx := t.Context()
	object := func() *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "one", Labels: map[string]string{"a": "b"}}, Data: map[string]string{"k": "1"}}
	}
	if err := c.Create(ctx, object()); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(ctx, object()); !apierrors.IsAlreadyExists(err) {
		t.Errorf("creating it twice: %v, want AlreadyExists", err)
	}
	got := object()
	if err := c.Get(ctx, got); err != nil || got.UID == "" {
		t.Fatalf("get: %v, uid %q", err, got.UID)
	}
	stale := got.DeepCopy()
	got.Data["k"] = "2"
	if err := c.Update(ctx, got); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(ctx, stale); !apierrors.IsConflict(err) {
		t.Errorf("updating an old version: %v, want a conflict", err)
	}
	var list corev1.ConfigMapList
	if err := c.List(ctx, &list, ns, "a=b"); err != nil || len(list.Items) != 1 || list.Items[0].Data["k"] != "2" {
		t.Errorf("list: %v, %d items", err, len(list.Items))
	}
	if err := c.Delete(ctx, got); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(ctx, object()); !apierrors.IsNotFound(err) {
		t.Errorf("after delete: %v, want NotFound", err)
	}
	if want := `ConfigMap "one" in namespace "` + ns + `"`; kube.Describe(object()) != want {
		t.Errorf("described as %s, want %s", kube.Describe(object()), want)
	}
}

// Each reads page after page, and ends when it is told to.
func TestEachReadsPages(t *testing.T) {
	const objects, page = 1200, 500
	pages := 0
	server := newHTTP2Server(t, func(w http.ResponseWriter, r *http.Request) {
		pages++
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		if limit := r.URL.Query().Get("limit"); limit != strconv.Itoa(page) {
			t.Errorf("the limit is %q", limit)
		}
		list := corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{Kind: "ConfigMapList", APIVersion: "v1"}}
		for i := from; i < min(from+page, objects); i++ {
			list.Items = append(list.Items, corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(i)}})
		}
		if from+page < objects {
			list.Continue = strconv.Itoa(from + page)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list) // the client reports what is missing
	})
	config := trusting(server)
	c, err := kube.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = kube.Each(t.Context(), c, &corev1.ConfigMapList{}, "brane", "", func(object *corev1.ConfigMap) error {
		if object.Name != strconv.Itoa(found) {
			t.Fatalf("object %d is %q", found, object.Name)
		}
		found++
		return nil
	})
	if err != nil || found != objects || pages != 3 {
		t.Errorf("%d objects in %d pages, %v", found, pages, err)
	}
	stop := errors.New("enough")
	if err := kube.Each(t.Context(), c, &corev1.ConfigMapList{}, "brane", "", func(*corev1.ConfigMap) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("it ends with %v", err)
	}
}

func TestFollowReportsEveryChange(t *testing.T) {
	c, ns := clustertest.Client(t), clustertest.Namespace(t)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "one", Labels: map[string]string{"follow": "me"}}}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), testenv.Patience)
	heard := make(chan string)
	ended := make(chan error)
	say := func(s string) {
		select {
		case heard <- s:
		case <-ctx.Done():
		}
	}
	go func() {
		ended <- kube.Follow(ctx, c, &corev1.ConfigMapList{}, ns, "follow=me", kube.Follower[*corev1.ConfigMap]{
			Changed: func(m *corev1.ConfigMap) { say(m.Name + "=" + m.Data["k"]) },
			Deleted: func(m *corev1.ConfigMap) { say(m.Name + " deleted") },
			Failed:  func(err error) { say(err.Error()) },
		})
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("heard nothing, want %q", want)
		}
	}
	expect("one=")
	if err := c.MergePatch(ctx, object, []byte(`{"data":{"k":"2"}}`)); err != nil {
		t.Fatal(err)
	}
	expect("one=2")
	if err := c.Delete(ctx, object); err != nil {
		t.Fatal(err)
	}
	expect("one deleted")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestErrorsOfUnreachableServer(t *testing.T) {
	client, err := kube.New(must(t)(kube.Connection{Host: "https://127.0.0.1:1", Insecure: true}.Config()))
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("we had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	err = client.Get(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the context's cause in it", err)
	}
	err = client.Get(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want connection refused", err)
	}
}

func must(t *testing.T) func(*rest.Config, error) *rest.Config {
	return func(config *rest.Config, err error) *rest.Config {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
}
