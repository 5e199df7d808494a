package workflow

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

// through is the cluster's administrator, whose requests go through a function that may refuse them or answer itself.
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

// cutOff is an administrator whose cable can be pulled. Watches that are open stay so, and tell nothing new of what is made by others meanwhile.
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

// cable is an error of the network, as a dialer makes them.
type cable struct{ error }

func (*cable) Timeout() bool   { return false }
func (*cable) Temporary() bool { return true }
