//go:build long

package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Redis is away for longer than a command is repeated by default. Meanwhile one step ends and another continues.
func TestLongRedisAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s3cret")
	proxy := redistest.StartProxy(t, clustertest.Getenv(t, "BRANE_BRIDGE_IP"), server, func([]byte) {}) // for the pods
	client, err := files.Dial(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // nothing was written that could be lost
	getenv := func(name string) string { return clustertest.Getenv(t, name) }
	lab := runtest.NewOn(t, clustertest.Client(t), clustertest.Namespace(t), client, getenv)
	run := lab.NewRun(lab.Chain(true)...)
	run.Clients.RedisURL = strings.Replace(server.URL(), server.Addr(), proxy.Addr(), 1)
	continues := runtest.Heard(run, workflow.RunContinues, "")
	waits := runtest.Heard(run, workflow.RunWaits, "")
	ended := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the step", lab.Counter.Arrived)
	server.Pause()
	lab.Counter.Release()
	select {
	case <-time.After(150 * time.Second): // the outage itself
	case end := <-ended:
		t.Errorf("the run ended with %+v, %v", end.Result, end.Err)
	}
	server.Continue()
	if event := testenv.Receive(t, "a report that it waits", waits); !strings.Contains(event.Detail, "redis cannot be reached") {
		t.Errorf("it waits %s", event.Detail)
	}
	testenv.Receive(t, "a report that it continues", continues)
	testenv.Receive(t, "the run", ended).CheckSucceeded(t)
	lab.CheckRanOnce(run)
}
