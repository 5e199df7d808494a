package engine

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// through returns a client of the cluster's administrator whose requests pass a function, which may deny or answer them.
func through(t *testing.T, passes func(*http.Request, http.RoundTripper) (*http.Response, error)) *kube.Client {
	t.Helper()
	return throughWith(t, adminConfig(t), passes)
}

func throughWith(t *testing.T, config *rest.Config, passes func(*http.Request, http.RoundTripper) (*http.Response, error)) *kube.Client {
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

func adminConfig(t *testing.T) *rest.Config {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, "KUBECONFIG")}.Config()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// cutOff returns a client of the administrator whose connection can be cut. Open watches stay open, and deliver nothing in the meantime.
func cutOff(t *testing.T) (client *kube.Client, cut func(bool)) {
	var off atomic.Bool
	client = through(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if off.Load() {
			return nil, &cable{errors.New("the cable is pulled")}
		}
		return next.RoundTrip(request)
	})
	return client, off.Store
}

// cable returns a network error like that of a dialer.
type cable struct{ error }

func (*cable) Timeout() bool   { return false }
func (*cable) Temporary() bool { return true }
