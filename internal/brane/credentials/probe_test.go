package credentials

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// account creates a service account in a new namespace, with permissions in the namespace and in the cluster.
func account(t *testing.T, here, everywhere []rbacv1.PolicyRule) (namespace, name string) {
	t.Helper()
	c := clustertest.Client(t)
	namespace = clustertest.Namespace(t)
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "brane"}
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "brane"}}
	objects := []kube.Object{&corev1.ServiceAccount{ObjectMeta: meta}}
	if here != nil {
		objects = append(objects, &rbacv1.Role{ObjectMeta: meta, Rules: here},
			&rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "brane"}})
	}
	if everywhere != nil {
		meta := metav1.ObjectMeta{Name: namespace}
		role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: everywhere}
		binding := &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: namespace}}
		objects = append(objects, role, binding)
		t.Cleanup(func() {
			ctx := testenv.Context(t)
			if err := errors.Join(c.Delete(ctx, binding), c.Delete(ctx, role)); err != nil {
				t.Error(err)
			}
		})
	}
	for _, object := range objects {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return namespace, "brane"
}

// registered returns a kubeconfig as Brane gets it: with a new token, rendered and parsed again.
func registered(t *testing.T, namespace, name string) *Kubeconfig {
	t.Helper()
	c := clustertest.Client(t)
	token, err := RequestToken(t.Context(), c, namespace, name, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := c.CA()
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := Render(Kubeconfig{Server: c.Host(), CA: ca, Token: token.Value, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	k, err := Parse(rendered)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// probe repeats Probe until it returns what is expected, because the API server needs a moment to observe new roles.
func probe(t *testing.T, k *Kubeconfig, namespace string, done func(Report, error) bool) (Report, error) {
	t.Helper()
	c, err := kube.New(k.Config())
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	_ = testenv.Poll(t.Context(), func(ctx context.Context) (bool, error) { // the caller checks what was returned last
		report, err = Probe(ctx, c, namespace)
		return done(report, err), nil
	})
	return report, err
}

var createJobs = []rbacv1.PolicyRule{{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}}}

func TestProbeReportsPermissions(t *testing.T) {
	for name, tt := range map[string]struct {
		here, everywhere []rbacv1.PolicyRule
		powers           []string
	}{
		"only what Brane needs": {here: createJobs},
		"everything":            {everywhere: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}, powers: []string{"it may do everything in the whole cluster (cluster-admin)"}},
		"Jobs and Secrets everywhere": {everywhere: append(slices.Clone(createJobs), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}),
			powers: []string{"it may read the Secrets of every namespace", "it may create Jobs in every namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			namespace, account := account(t, tt.here, tt.everywhere)
			k := registered(t, namespace, account)
			report, err := probe(t, k, namespace, func(r Report, err error) bool { return err == nil && len(r.Powers) == len(tt.powers) })
			if err != nil || !slices.Equal(report.Powers, tt.powers) {
				t.Errorf("%v, got %q", err, report.Powers)
			}
		})
	}
}

func TestProbeErrors(t *testing.T) {
	t.Parallel()
	namespace, name := account(t, createJobs, nil)
	good := registered(t, namespace, name)
	if _, err := probe(t, good, namespace, func(_ Report, err error) bool { return err == nil }); err != nil {
		t.Fatal(err)
	}
	server := good.Server

	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	stranger := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(stranger.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}

	for name, tt := range map[string]struct {
		change    func(*Kubeconfig)
		namespace string
		kind      error
		want      string
	}{
		"another token": {func(k *Kubeconfig) { k.Token = "e30.e30.c2ln" }, namespace, ErrUnauthorized,
			server + " does not accept the credential: it has expired, or its service account or token was deleted"},
		"another namespace": {func(*Kubeconfig) {}, "default", ErrForbidden,
			server + ` does not allow the credential to create Jobs (create jobs.batch) in namespace "default": its service account needs a Role there, and the namespace must exist`},
		"nobody listens": {func(k *Kubeconfig) { k.Server = closed }, namespace, ErrUnreachable,
			"no API server answers at " + closed + ": dial tcp " + closed[len("https://"):] + ": connect: connection refused"},
		"another's certificate": {func(k *Kubeconfig) { k.Server = stranger.URL }, namespace, ErrTLS,
			"the certificate of " + stranger.URL + " is not issued by the CA in the registered kubeconfig (certificate-authority-data; for a token that the provider requests, " +
				"it is the CA of the provider's own connection): x509: certificate signed by unknown authority"},
		"no CA": {func(k *Kubeconfig) { k.Server, k.CA = stranger.URL, nil }, namespace, ErrTLS,
			"the certificate of " + stranger.URL + " is issued by a CA that is not trusted, because the registered kubeconfig has no certificate-authority-data " +
				"(for a token that the provider requests, set cluster_ca_certificate in the provider block): x509: certificate signed by unknown authority"},
		"another host": {func(k *Kubeconfig) {
			k.Server = strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1)
			k.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stranger.Certificate().Raw})
		}, namespace, ErrTLS,
			"the certificate of " + strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1) + " is not valid for this host, and Brane's client does not support another server name (tls-server-name): " +
				"x509: certificate is valid for example.com, *.example.com, not localhost. Use an address for which the certificate is valid"},
		"no TLS at all": {func(k *Kubeconfig) { k.Server = "https" + plain.URL[len("http"):] }, namespace, ErrTLS,
			"the server at https" + plain.URL[len("http"):] + " does not use TLS: http: server gave HTTP response to HTTPS client"},
		"another server": {func(k *Kubeconfig) {
			k.Server, k.CA = stranger.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stranger.Certificate().Raw})
		}, namespace, ErrUnreachable, "the server at " + stranger.URL + " answers, but it is not an API server, or its URL lacks a path: the server could not find the requested resource (post selfsubjectaccessreviews.authorization.k8s.io)"},
	} {
		t.Run(name, func(t *testing.T) {
			k := *good
			tt.change(&k)
			c, err := kube.New(k.Config())
			if err != nil {
				t.Fatal(err)
			}
			_, err = Probe(t.Context(), c, tt.namespace)
			if !errors.Is(err, tt.kind) || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if strings.Contains(err.Error(), k.Token) {
				t.Error("the token is in the error")
			}
		})
	}

	t.Run("its account was deleted", func(t *testing.T) {
		if err := clustertest.Client(t).Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}); err != nil {
			t.Fatal(err)
		}
		// The API server remembers for up to ten seconds that it has seen the token.
		if _, err := probe(t, good, namespace, func(_ Report, err error) bool { return errors.Is(err, ErrUnauthorized) }); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	})
}

func TestProbeEndsWithItsContext(t *testing.T) {
	namespace, name := account(t, createJobs, nil)
	c, err := kube.New(registered(t, namespace, name).Config())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("the user pressed Ctrl-C"))
	if _, err := Probe(ctx, c, namespace); err == nil || !strings.HasSuffix(err.Error(), "the user pressed Ctrl-C") || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestRequestToken(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	namespace, name := account(t, nil, nil)
	token, err := RequestToken(t.Context(), c, namespace, name, 2*time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token.Lifetime() != 2*time.Hour || token.Shortened() || time.Until(token.Expires) < time.Hour {
		t.Errorf("issued %v, expires %v", token.Issued, token.Expires)
	}
	if _, err := RequestToken(t.Context(), c, namespace, "nobody", time.Hour, nil); !errors.Is(err, ErrNoAccount) {
		t.Errorf("got %v", err)
	}
	if _, err := RequestToken(t.Context(), c, namespace, name, time.Minute, nil); err == nil || !strings.Contains(err.Error(), "10 minutes") {
		t.Errorf("got %v", err)
	}
}

func TestTokenShortened(t *testing.T) {
	now := time.Unix(1800000000, 0)
	for granted, want := range map[time.Duration]bool{time.Hour: false, time.Hour - 30*time.Second: false, 30 * time.Minute: true, 2 * time.Hour: false} {
		token := Token{Issued: now, Expires: now.Add(granted), Asked: time.Hour}
		if token.Shortened() != want {
			t.Errorf("granted %v of an hour: Shortened is %v", granted, token.Shortened())
		}
	}
}
