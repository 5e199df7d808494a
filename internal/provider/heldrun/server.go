package heldrun

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// StepServer is an HTTP server that steps send requests to. A request to /wait waits for Release, one to /finish waits for Finish, one to /works fails until Works
// is set, and one to /over reports the end of the command.
type StepServer struct {
	URL      string
	Arrived  chan struct{} // closed when the first step waits
	Arrivals atomic.Int32  // number of requests to /wait
	Over     chan struct{} // closed when the first command reports its end
	Release  func()        // ends all requests to /wait, now and later
	Finish   func()        // ends all requests to /finish, now and later
	Works    atomic.Bool   // whether requests to /works succeed
	Waiting  atomic.Int32  // number of steps that wait
	Most     atomic.Int32  // maximum number of steps that waited at the same time
}

// NewStepServer starts a server at a free port of an address that pods reach, and stops it when the test ends.
func NewStepServer(t *testing.T, address string) *StepServer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	acctest.NoError(t, err)
	released, finishing := make(chan struct{}), make(chan struct{})
	s := &StepServer{
		URL: "http://" + listener.Addr().String(), Arrived: make(chan struct{}), Over: make(chan struct{}),
		Release: sync.OnceFunc(func() { close(released) }), Finish: sync.OnceFunc(func() { close(finishing) }),
	}
	arrived, over := sync.OnceFunc(func() { close(s.Arrived) }), sync.OnceFunc(func() { close(s.Over) })
	mux := http.NewServeMux()
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		s.Arrivals.Add(1)
		now := s.Waiting.Add(1)
		defer s.Waiting.Add(-1)
		for most := s.Most.Load(); now > most && !s.Most.CompareAndSwap(most, now); most = s.Most.Load() {
			// another step has arrived
		}
		arrived()
		select {
		case <-released:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/finish", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-finishing:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/works", func(w http.ResponseWriter, _ *http.Request) {
		if !s.Works.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/over", func(http.ResponseWriter, *http.Request) { over() })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { acctest.NoError(t, server.Close()) })
	return s
}

// AwaitArrivals waits until /wait was requested so many times.
func (s *StepServer) AwaitArrivals(t *testing.T, n int32) {
	t.Helper()
	testenv.AwaitTrue(t, "a step to start", func() bool { return s.Arrivals.Load() >= n })
}
