package provider_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// caller is what the steps of a test call over HTTP: it counts how often each has run, and keeps one waiting.
type caller struct {
	url     string
	mu      sync.Mutex
	ran     map[string]int
	arrived chan struct{} // closed when the first step asks to wait
	release chan struct{} // closed by the test, to let it go on
	works   atomic.Bool   // whether what a step asks for works
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(clustertest.Getenv(t, "BRANE_BRIDGE_IP"), "0"))
	must(t, err)
	c := &caller{url: "http://" + listener.Addr().String(), ran: map[string]int{}, arrived: make(chan struct{}), release: make(chan struct{})}
	var once sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("/ran/", func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ran[path.Base(r.URL.Path)]++
	})
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(c.arrived) })
		select {
		case <-c.release:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/works", func(w http.ResponseWriter, _ *http.Request) {
		if !c.works.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { must(t, server.Close()) })
	return c
}

func (c *caller) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ran)
}

// The provider is killed in the middle of a run: the next apply goes on where the run stands.
//
//	first ─┬─ slow ─── last
//	       └─ beside
func TestAccResume(t *testing.T) {
	t.Parallel()
	s, store, c, server := newSetting(t), redisClient(t), newCLI(t), newCaller(t)
	s.register(t)
	count := func(step string) string { return "wget -q -O /dev/null " + server.url + "/ran/" + step }
	c.write(t, "main.tf", required+s.run(t, "resumed", strings.NewReplacer("$FIRST", count("first"), "$BESIDE", count("beside"),
		"$SLOW", count("slow"), "$LAST", count("last"), "$WAIT", "wget -q -O /dev/null "+server.url+"/wait").Replace(`
  steps = {
    first  = { image = "$TOOLS", command = ["sh", "-ec", "$FIRST; echo first > /data/first"] }
    beside = { image = "$TOOLS", command = ["sh", "-ec", "$BESIDE; echo beside > /data/beside"], needs = ["first"] }
    slow   = { image = "$TOOLS", command = ["sh", "-ec", "$SLOW; $WAIT; echo slow > /data/slow"], needs = ["first"] }
    last   = { image = "$TOOLS", command = ["sh", "-ec", "$LAST; cat /data/first /data/slow > /data/both"], needs = ["slow"] }
  }
  outputs  = { both = { path = "both" } }
  timeouts = { create = "3m" }
`))+"\noutput \"id\" {\n  value = brane_workflow_run.test.id\n}\noutput \"both\" {\n  value = brane_workflow_run.test.outputs.both.content\n}\n")
	c.run(t, "init", "-no-color")
	c.destroyAtEnd(t)

	killed, out := c.command(t.Context(), "apply", "-auto-approve", "-no-color")
	must(t, killed.Start())
	ended := make(chan error, 1)
	go func() { ended <- killed.Wait() }()
	select {
	case <-server.arrived:
	case err := <-ended:
		t.Fatalf("apply ended too early: %v\n%s", err, out)
	}
	pid, err := providerOf(killed.Process.Pid)
	must(t, err)
	if pid == 0 {
		t.Fatal("the CLI has no provider")
	}
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	if err := <-ended; err == nil {
		t.Fatalf("apply has not noticed that its provider was killed:\n%s", out)
	}
	before, err := s.jobUIDs(t.Context())
	must(t, err)
	if before["first"] == "" || before["slow"] == "" || before["last"] != "" {
		t.Fatalf("Jobs when the provider was killed: %v", before)
	}

	// The slow step waits until the second provider has taken it up.
	resumed, _ := c.command(t.Context(), "apply", "-auto-approve", "-no-color")
	resumed.Env = append(resumed.Env, "TF_LOG_PROVIDER=INFO")
	resumed.Stderr = nil
	log, err := resumed.StderrPipe()
	must(t, err)
	must(t, resumed.Start())
	var heard strings.Builder
	var once sync.Once
	for lines := bufio.NewScanner(io.TeeReader(log, &heard)); lines.Scan(); {
		if strings.Contains(lines.Text(), `step "slow" was started before and is followed`) {
			once.Do(func() { close(server.release) })
		}
	}
	if err := resumed.Wait(); err != nil {
		t.Fatalf("the second apply: %v\n%s", err, &heard)
	}

	if got := strings.TrimSpace(c.run(t, "output", "-raw", "both")); got != "first\nslow" {
		t.Errorf("the output is %q", got)
	}
	if got, want := fmt.Sprint(server.counts()), fmt.Sprint(map[string]int{"first": 1, "beside": 1, "slow": 1, "last": 1}); got != want {
		t.Errorf("the steps ran %s times, not %s", got, want)
	}
	after, err := s.jobUIDs(t.Context())
	must(t, err)
	for step, uid := range before {
		if after[step] != uid {
			t.Errorf("the Job of step %s is another one", step)
		}
	}
	c.run(t, "plan", "-detailed-exitcode", "-no-color")
	id := c.run(t, "output", "-raw", "id")
	c.run(t, "destroy", "-auto-approve", "-no-color")
	must(t, s.nothingOfRuns(t.Context()))
	must(t, nothingInRedis(t.Context(), store, id))
}
