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

// gate stands in front of the real API server and lets all requests through but one, or a number of them.
type gate struct {
	*httptest.Server

	mu    sync.Mutex
	seen  []string // the requests, "PATCH /api/v1/…"
	at    int      // which request meets the fault, from 1 on; 0 is none
	more  int      // how many after it do as well
	fault fault
	holds func(r *http.Request, seen []string) bool // which requests get no answer; nil: none
	held  chan struct{}                             // closed when there was one
}

// fault answers in the API server's place.
type fault struct {
	name   string
	answer func(http.ResponseWriter, *http.Request)
}

// faults are what can go wrong with a request.
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

// newGate makes a gate; start is [httptest.Server.Start] or StartTLS. Requests without a credential get that of the provider's own account.
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
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that a client gives up
			fault.answer(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	start(g.Server)
	t.Cleanup(func() {
		g.CloseClientConnections() // Close alone waits for those who still wait for an answer
		g.Close()
	})
	return g
}

// pass counts a request and says what it meets.
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

// arm lets the n-th request from now on meet the fault; 0 disarms.
func (g *gate) arm(n int, f fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen, g.at, g.more, g.fault = nil, n, 0, f
}

// hold lets the first request of this kind have no answer; the channel is closed when it is there.
func (g *gate) hold(kind func(r *http.Request, seen []string) bool) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds, g.held = kind, make(chan struct{})
	return g.held
}

// shut is arm for a while: more requests after the n-th meet the fault.
func (g *gate) shut(n, more int, f fault) {
	g.arm(n, f)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.more = more
}

// requests are how many there were since the gate was armed.
func (g *gate) requests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.seen)
}
