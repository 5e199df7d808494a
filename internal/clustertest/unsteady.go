package clustertest

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
)

// Unsteady returns a client with the administrator's credentials whose connection breaks at the first request of each method and path: before the API
// server receives the request or, if done is true, after it has carried the request out, so that only the response is lost.
func Unsteady(t testing.TB, done bool) *kube.Client {
	t.Helper()
	config, err := kube.Connection{ConfigPath: Getenv(t, "KUBECONFIG")}.Config()
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := disturb.NewForwarder(config)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		kind := r.Method + " " + r.URL.Path
		isFirst := !seen[kind]
		seen[kind] = true
		mu.Unlock()
		switch {
		case isFirst && done:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			fallthrough
		case isFirst:
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
