package main

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// moment is when a disturbance happens: at the n-th event of a kind since the beginning of a command of the CLI.
type moment struct {
	kind string // request, command (of Redis), start or end (of a program)
	n    int
}

// moments calls functions at moments. What caused the event waits meanwhile, so a disturbance hits a client in a known state.
type moments struct {
	mu      sync.Mutex
	counted map[string]int
	armed   map[moment]func()
	running sync.WaitGroup
}

// arm replaces all armed functions, and counts from the beginning.
func (m *moments) arm(armed map[moment]func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counted, m.armed = map[string]int{}, armed
}

// disarm returns the moments that did not happen, and waits for the functions that are running.
func (m *moments) disarm() (missed []moment) {
	m.mu.Lock()
	for at := range m.armed {
		missed = append(missed, at)
	}
	m.armed = nil
	m.mu.Unlock()
	m.running.Wait()
	return missed
}

// happen counts an event and calls the function that is armed for it.
func (m *moments) happen(kind string) {
	m.mu.Lock()
	if m.armed == nil {
		m.mu.Unlock()
		return
	}
	m.counted[kind]++
	at := moment{kind, m.counted[kind]}
	disturb := m.armed[at]
	delete(m.armed, at)
	if disturb != nil {
		m.running.Add(1)
	}
	m.mu.Unlock()
	if disturb != nil {
		disturb()
		m.running.Done()
	}
}

// calls is the server that programs report to.
type calls struct {
	url     string
	server  *http.Server
	moments *moments

	mu       sync.Mutex
	starts   map[string]int // by program
	failures map[string]int // how often a program still fails
	held     map[string]time.Duration
}

// newCalls starts the server at an address that pods can reach.
func newCalls(address string, m *moments) (*calls, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, err
	}
	c := &calls{url: "http://" + listener.Addr().String(), moments: m, starts: map[string]int{}, failures: map[string]int{}, held: map[string]time.Duration{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/start/", func(w http.ResponseWriter, r *http.Request) {
		if !c.start(strings.TrimPrefix(r.URL.Path, "/start/"), r) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/end/", func(http.ResponseWriter, *http.Request) { m.happen("end") })
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = c.server.Serve(listener) }() // ends with Close
	return c, nil
}

// expect sets how the programs of a workflow behave.
func (c *calls) expect(w *workflow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range w.steps {
		for _, program := range w.programs(s) {
			c.held[program] = time.Duration(s.held) * time.Millisecond
			c.failures[program] = s.failures
			if s.isAllowed {
				c.failures[program] = 1 << 30
			}
		}
	}
}

// start counts the start of a program, holds it for its time, and reports whether it succeeds.
func (c *calls) start(program string, r *http.Request) (succeeds bool) {
	c.mu.Lock()
	c.starts[program]++
	fails := c.failures[program] > 0
	if fails {
		c.failures[program]--
	}
	held := c.held[program]
	c.mu.Unlock()
	c.moments.happen("start")
	select {
	case <-time.After(held): // how long the program runs
	case <-r.Context().Done():
	}
	return !fails
}

// countStarts returns how often a program has started.
func (c *calls) countStarts(program string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.starts[program]
}
