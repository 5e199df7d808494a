package acctest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
)

// FaultProxy is a proxy in front of the API server that forwards all requests except those that meet a fault or are held.
type FaultProxy struct {
	*httptest.Server

	mu    sync.Mutex
	seen  []string // the requests, "PATCH /api/v1/…"
	at    int      // the number of the request that meets the fault, from 1; 0: none
	more  int      // how many requests after it meet the fault as well
	fault Fault
	holds func(r *http.Request, seen []string) bool // the condition of the request that gets no answer; nil: none
	held  chan struct{}                             // closed when such a request has arrived
}

// Fault is an response of the proxy instead of that of the API server.
type Fault struct {
	Name   string
	Answer func(http.ResponseWriter, *http.Request)
}

// Faults are the faults of a request.
var Faults = []Fault{
	NewStatusFault(http.StatusUnauthorized, metav1.StatusReasonUnauthorized),
	NewStatusFault(http.StatusForbidden, metav1.StatusReasonForbidden),
	NewStatusFault(http.StatusConflict, metav1.StatusReasonConflict),
	NewStatusFault(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid),
	NewStatusFault(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests),
	NewStatusFault(http.StatusInternalServerError, metav1.StatusReasonInternalError),
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
	NoAnswer,
}

// NoAnswer gives no response until the client disconnects.
var NoAnswer = Fault{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}

// FaultMessage is the message of a [Fault] with a status.
const FaultMessage = "the gate is closed"

// NewStatusFault returns a response with an error status.
func NewStatusFault(code int32, reason metav1.StatusReason) Fault {
	return Fault{fmt.Sprint(code), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(int(code))
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: FaultMessage,
		})
	}}
}

// NewFaultProxy starts a proxy; start is [httptest.Server.Start] or StartTLS. Requests without credentials get those of the provider.
func NewFaultProxy(t *testing.T, start func(*httptest.Server)) *FaultProxy {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, KubeconfigVariable), QPS: 1000, Burst: 1000}.Config()
	NoError(t, err)
	proxy, err := disturb.NewForwarder(config)
	NoError(t, err)
	g := &FaultProxy{}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := g.recordRequest(r); fault.Answer != nil {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server detect that a client has disconnected
			fault.Answer(w, r)
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

// recordRequest counts a request and returns the fault that it meets.
func (p *FaultProxy) recordRequest(r *http.Request) Fault {
	if r.URL.Path == "/version" { // an operation continues without this answer
		return Fault{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds != nil && p.holds(r, p.seen) {
		p.holds = nil
		close(p.held)
		return NoAnswer
	}
	p.seen = append(p.seen, r.Method+" "+r.URL.Path)
	if p.at == 0 || len(p.seen) < p.at || len(p.seen) > p.at+p.more {
		return Fault{}
	}
	return p.fault
}

// FailRequest lets the n-th request from now meet the fault; 0: none.
func (p *FaultProxy) FailRequest(n int, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.at, p.more, p.fault = nil, n, 0, f
}

// HoldRequest gives no answer to the first request that meets a condition. The channel is closed when it has arrived; it is not forwarded.
func (p *FaultProxy) HoldRequest(kind func(r *http.Request, seen []string) bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds, p.held = kind, make(chan struct{})
	return p.held
}

// FailRequests lets the n-th request and more requests after it meet the fault.
func (p *FaultProxy) FailRequests(n, more int, f Fault) {
	p.FailRequest(n, f)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.more = more
}

// CountRequests returns the number of requests since the last call of FailRequest or FailRequests.
func (p *FaultProxy) CountRequests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}
