//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAStepThatOutlivesItsDeadline runs pods whose Job is of an execution whose deadline is near, or has passed, while a later execution continues the step. What
// they store expires with that.
func TestAStepThatOutlivesItsDeadline(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		deadline time.Time
		isKnown  bool // the later execution began before the pod
	}{"it is near": {time.Now().Add(5 * time.Minute), false}, "it has passed": {time.Unix(1, 0), true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, nil)
			path, open := gate(t)
			p := r.pod("long", nil)
			p.step.Deadline = tt.deadline.Unix()
			extend := func() {
				if _, err := r.store.SetDeadline(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if tt.isKnown {
				extend()
			}
			cmd, stderr := p.begin("echo ready; cat " + path + "; echo result >out")
			if !tt.isKnown {
				extend()
			}
			open()
			_ = cmd.Wait() // the code is what counts
			if code := cmd.ProcessState.ExitCode(); code != 0 || !r.committed("long") {
				t.Fatalf("ended with %d: %s", code, stderr)
			}
			client := r.server.Client()
			for _, kind := range []string{"step:long:*", "c:*", "log:long:*"} {
				keys := client.Keys(t.Context(), "brane:"+r.id+":"+kind).Val()
				if len(keys) == 0 {
					t.Errorf("there is no key %s", kind)
				}
				for _, key := range keys {
					if at := client.ExpireTime(t.Context(), key).Val(); fmt.Sprint(int64(at.Seconds())) != fmt.Sprint(r.limit.Unix()) {
						t.Errorf("%s expires at %s", strings.TrimPrefix(key, "brane:"+r.id+":"), at)
					}
				}
			}
		})
	}
}
