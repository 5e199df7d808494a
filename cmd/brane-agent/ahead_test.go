//go:build linux

package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// ahead starts the main container of a step that waits for another step, and returns when it waits.
func (r *run) ahead(t *testing.T) (cmd *exec.Cmd, output *bytes.Buffer) {
	t.Helper()
	r.pod("first", nil)
	p := r.podAhead("second", map[string][]string{"second": {"first"}, "first": nil})
	if got := p.stage(); got.code != 0 {
		t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	cmd, output = p.main("sh", "-c", "cat "+p.data+"/word"), new(bytes.Buffer)
	cmd.Stderr, cmd.Stdout = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := time.Now().Add(time.Minute)
	for {
		count, err := r.server.Client().PubSubNumSub(t.Context(), "brane:"+r.id+":ev.0").Result()
		if err != nil {
			t.Fatal(err)
		}
		if count["brane:"+r.id+":ev.0"] > 0 {
			return cmd, output
		}
		if time.Now().After(listening) {
			t.Fatal("the agent does not listen")
		}
	}
}

func TestAStepThatIsAheadWaitsForItsNeeds(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	cmd, output := r.ahead(t)
	if got := r.pod("first", nil).sh("echo hello > word"); got.code != 0 {
		t.Fatalf("the first step ended with %d: %s", got.code, got.stderr)
	}
	if err := cmd.Wait(); err != nil || output.String() != "hello\n" || !r.committed("second") {
		t.Errorf("the second step ended with %v: %s", err, output)
	}
}

func TestAStepThatIsAheadCanBeStopped(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stop func(*run, *exec.Cmd) error
		code int
		want string
	}{
		"by its pod's end": {func(_ *run, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }, agent.ExitStopped, "the container received SIGTERM before the command had started"},
		"by the run's end": {func(r *run, _ *exec.Cmd) error { return r.store.Cancel(t.Context(), 1) }, agent.ExitCancelled, "the run was cancelled before the command had started"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, nil)
			cmd, output := r.ahead(t)
			if err := tt.stop(r, cmd); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the code is what counts
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(output.String(), tt.want) {
				t.Errorf("ended with %d: %s", code, output)
			}
		})
	}
}

// TestAStepThatWasAheadHasFewConnections checks that the agent does not listen to other steps any more when the command runs.
func TestAStepThatWasAheadHasFewConnections(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	if err := r.server.Client().ACLSetUser(t.Context(), "agent", "on", ">n0ther", "~*", "&*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	r.pod("first", nil)
	p := r.podAhead("second", map[string][]string{"second": {"first"}, "first": nil})
	p.writeSecret("redis://agent:n0ther@" + r.server.Addr())
	if got := p.stage(); got.code != 0 {
		t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	cmd := p.main("sh", "-c", "echo ready; exec sleep 600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	connections := func() int {
		clients, err := r.server.Client().ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(clients, " user=agent ")
	}
	testenv.AwaitTrue(t, "the agent to wait", func() bool { return connections() == 2 })
	if got := r.pod("first", nil).sh("echo hello > word"); got.code != 0 {
		t.Fatalf("the first step ended with %d: %s", got.code, got.stderr)
	}
	testenv.AwaitTrue(t, "the output", func() bool { return r.log("second") == "ready\n" })
	testenv.AwaitTrue(t, "two connections", func() bool { return connections() == 2 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was stopped
}
