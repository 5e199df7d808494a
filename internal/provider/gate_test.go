package provider_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// gate is a proxy in front of the API server that forwards all requests except those that meet a fault or are held.
type gate struct {
	*httptest.Server

	mu    sync.Mutex
	seen  []string // the requests, "PATCH /api/v1/…"
	at    int      // the number of the request that meets the fault, from 1; 0: none
	more  int      // how many requests after it meet the fault as well
	fault fault
	holds func(r *http.Request, seen []string) bool // the condition of the request that gets no answer; nil: none
	held  chan struct{}                             // closed when such a request has arrived
}

// fault is an answer of the gate instead of the API server.
type fault struct {
	name   string
	answer func(http.ResponseWriter, *http.Request)
}

// faults are the faults of a request.
var faults = []fault{
	refusal(http.StatusUnauthorized, metav1.StatusReasonUnauthorized),
	refusal(http.StatusForbidden, metav1.StatusReasonForbidden),
	refusal(http.StatusConflict, metav1.StatusReasonConflict),
	refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid),
	refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests),
	refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError),
	{"connection reset", func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		if tcp, ok := connection.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // RST and not FIN
		}
		_ = connection.Close()
	}},
	noAnswer,
}

var noAnswer = fault{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}

const gateSays = "the gate is closed"

func refusal(code int32, reason metav1.StatusReason) fault {
	return fault{fmt.Sprint(code), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(int(code))
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: gateSays,
		})
	}}
}

// newGate starts a gate; start is [httptest.Server.Start] or StartTLS. Requests without credentials get those of the provider.
func newGate(t *testing.T, start func(*httptest.Server)) *gate {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, ownKubeconfig), QPS: 1000, Burst: 1000}.Config()
	must(t, err)
	transport, err := rest.TransportFor(config)
	must(t, err)
	target, err := url.Parse(config.Host)
	must(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	g := &gate{}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := g.pass(r); fault.answer != nil {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server detect that a client has disconnected
			fault.answer(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	start(g.Server)
	t.Cleanup(func() {
		g.CloseClientConnections() // Close alone waits for held requests
		g.Close()
	})
	return g
}

// pass counts a request and returns the fault that it meets.
func (g *gate) pass(r *http.Request) fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds != nil && g.holds(r, g.seen) {
		g.holds = nil
		close(g.held)
		return noAnswer
	}
	g.seen = append(g.seen, r.Method+" "+r.URL.Path)
	if g.at == 0 || len(g.seen) < g.at || len(g.seen) > g.at+g.more {
		return fault{}
	}
	return g.fault
}

// arm lets the n-th request from now meet the fault; 0: none.
func (g *gate) arm(n int, f fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen, g.at, g.more, g.fault = nil, n, 0, f
}

// hold gives no answer to the first request that meets a condition. The channel is closed when it has arrived; it is not forwarded.
func (g *gate) hold(kind func(r *http.Request, seen []string) bool) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds, g.held = kind, make(chan struct{})
	return g.held
}

// shut lets the n-th request and more requests after it meet the fault.
func (g *gate) shut(n, more int, f fault) {
	g.arm(n, f)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.more = more
}

// requests returns the number of requests since the gate was armed.
func (g *gate) requests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.seen)
}
