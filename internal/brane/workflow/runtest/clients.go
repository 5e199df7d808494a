package runtest

import (
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// NewClient returns a client of the cluster's administrator whose requests pass a function, which may deny or answer them.
func NewClient(t *testing.T, passes func(*http.Request, http.RoundTripper) (*http.Response, error)) *kube.Client {
	t.Helper()
	return NewClientWith(t, AdminConfig(t), passes)
}

// NewClientWith returns a client with this configuration, whose requests pass a function.
func NewClientWith(t *testing.T, config *rest.Config, passes func(*http.Request, http.RoundTripper) (*http.Response, error)) *kube.Client {
	t.Helper()
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) { return passes(request, next) })
	}
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// AdminConfig returns the configuration of the cluster's administrator.
func AdminConfig(t *testing.T) *rest.Config {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, "KUBECONFIG")}.Config()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// NewCutClient returns a client of the administrator whose connection can be cut. Open watches stay open, and deliver nothing in the
// meantime.
func NewCutClient(t *testing.T) (client *kube.Client, cut func(bool)) {
	var off atomic.Bool
	client = NewClient(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if off.Load() {
			return nil, NewNetworkError()
		}
		return next.RoundTrip(request)
	})
	return client, off.Store
}

// NewNetworkError returns an error like that of a dialer.
func NewNetworkError() error { return &networkError{errors.New("the cable is pulled")} }

type networkError struct{ error }

func (*networkError) Timeout() bool   { return false }
func (*networkError) Temporary() bool { return true }

// CreateAccount creates a service account in the lab's namespace with permission to run workflows there, and returns its token.
func (l *Lab) CreateAccount(name string) string {
	l.t.Helper()
	kubectl := func(args ...string) string {
		out, err := exec.CommandContext(l.t.Context(), "kubectl", append([]string{"-n", l.Namespace, "create"}, args...)...).CombinedOutput()
		if err != nil {
			l.t.Fatalf("kubectl create %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	kubectl("serviceaccount", name)
	kubectl("rolebinding", name, "--clusterrole=admin", "--serviceaccount="+l.Namespace+":"+name)
	return kubectl("token", name)
}

// NewClientAs returns a client with that token, whose requests pass a function.
func NewClientAs(t *testing.T, token string, passes func(*http.Request, http.RoundTripper) (*http.Response, error)) *kube.Client {
	t.Helper()
	config := rest.AnonymousClientConfig(AdminConfig(t))
	config.BearerToken = token
	return NewClientWith(t, config, passes)
}
