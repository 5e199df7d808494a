package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestNodeReady(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 500_000_000, time.UTC)
	for name, tt := range map[string]struct{ object, want string }{
		"a heartbeat in the same second": {
			`{"status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-05-04T12:00:00Z"}]}}`, "<nil>",
		},
		"the heartbeat of an earlier start": {
			`{"status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-05-04T11:59:59Z"}]}}`, "no heartbeat since this start",
		},
		"a node without a network": {
			`{"status": {"conditions": [{"type": "Ready", "status": "False", "message": "cni plugin not initialized", "lastHeartbeatTime": "2026-05-04T12:00:01Z"}]}}`,
			"cni plugin not initialized",
		},
		"a node with a taint": {
			`{"spec": {"taints": [{"key": "node.kubernetes.io/not-ready"}]}, "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-05-04T12:00:01Z"}]}}`,
			"the node has the taint node.kubernetes.io/not-ready",
		},
		"a node without conditions": {`{}`, "the node has no condition Ready"},
		"not JSON":                  {`nonsense`, "read the node: invalid character 'o' in literal null (expecting 'u')"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := nodeReady([]byte(tt.object), start); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestAwaitShowsTheLogOfAnEndedProgram lets ask hang, as a request to a dead server may.
func TestAwaitShowsTheLogOfAnEndedProgram(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := identify("etcd", cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{dir: t.TempDir(), number: 1}
	if err := os.Mkdir(c.path("log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("log/etcd.log"), []byte("disk is full\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &start{cluster: c, claim: &claim{Processes: []process{p}}}
	err = s.await(t.Context(), "the API server", []string{"kube-apiserver"}, func(ctx context.Context) error {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	want := fmt.Sprintf("the API server: etcd (process %d) has ended\n  last lines of %s:\n    disk is full", p.Pid, c.path("log/etcd.log"))
	if fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := cmd.Wait(); fmt.Sprint(err) != "signal: killed" {
		t.Error(err)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	s := &start{cluster: cluster{dir: t.TempDir()}, claim: &claim{}}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := s.await(ctx, "Redis", []string{"redis"}, func(context.Context) error {
		cancel(errors.New("interrupt signal received"))
		return errors.New("connection refused")
	})
	if want := "wait for Redis: interrupt signal received"; fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
