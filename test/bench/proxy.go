package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
)

// proxy forwards requests to the API server and counts them. It speaks HTTP/2 with TLS like the server, and acts as the kubeconfig's
// administrator.
type proxy struct {
	server   *httptest.Server
	requests atomic.Int64
	jobs     atomic.Int64 // that were created
	busy     atomic.Int64 // nanoseconds that the API server took for them, without watches
	admin    *kube.Client // the administrator; its requests are not counted
}

func newProxy(kubeconfig string) (*proxy, error) {
	config, err := kube.Connection{ConfigPath: kubeconfig}.Config()
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster of KUBECONFIG: %w", err)
	}
	p := &proxy{}
	if p.admin, err = kube.New(config); err != nil {
		return nil, err
	}
	forward, err := disturb.NewForwarder(config)
	if err != nil {
		return nil, err
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs") {
			p.jobs.Add(1)
		}
		began := time.Now()
		forward.ServeHTTP(w, r)
		if !r.URL.Query().Has("watch") {
			p.busy.Add(int64(time.Since(began)))
		}
	}))
	p.server.EnableHTTP2 = true
	p.server.StartTLS()
	return p, nil
}

// ca returns the proxy's own certificate in PEM format.
func (p *proxy) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw}))
}

func (p *proxy) close() {
	p.server.CloseClientConnections()
	p.server.Close()
}
