package workflowrun_test

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// caller is what the steps of a test call over HTTP: it keeps them waiting, fails for as long as it should, and hears when a program is over.
type caller struct {
	url      string
	arrived  chan struct{} // closed when the first step asks to wait
	arrivals atomic.Int32  // how many steps have asked to wait
	over     chan struct{} // closed when the first command reports its end
	release  chan struct{} // closed to let all waiting steps continue, now and later
	letGo    func()        // closes it, once
	finish   func()        // lets all steps finish that wait for that, now and later
	works    atomic.Bool   // whether requests to /works succeed
	waiting  atomic.Int32  // number of steps that are waiting
	most     atomic.Int32  // maximum number of concurrently waiting steps
}

func newCaller(t *testing.T, address string) *caller {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	acctest.NoError(t, err)
	c := &caller{url: "http://" + listener.Addr().String(), arrived: make(chan struct{}), over: make(chan struct{}), release: make(chan struct{})}
	c.letGo = sync.OnceFunc(func() { close(c.release) })
	finishing := make(chan struct{})
	c.finish = sync.OnceFunc(func() { close(finishing) })
	arrived, over := sync.OnceFunc(func() { close(c.arrived) }), sync.OnceFunc(func() { close(c.over) })
	mux := http.NewServeMux()
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		c.arrivals.Add(1)
		now := c.waiting.Add(1)
		defer c.waiting.Add(-1)
		for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
			// another step has arrived
		}
		arrived()
		select {
		case <-c.release:
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
		if !c.works.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/over", func(http.ResponseWriter, *http.Request) { over() })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { acctest.NoError(t, server.Close()) })
	return c
}

// awaitArrivals waits until so many steps have asked to wait.
func (c *caller) awaitArrivals(t *testing.T, n int32) {
	t.Helper()
	awaitCondition(t, "a step to start", func() bool { return c.arrivals.Load() >= n })
}
