//go:build linux

package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestPatience checks how long the agent waits for Redis before and after it was reached.
func TestPatience(t *testing.T) {
	a := access{URL: redistest.Start(t).URL()}
	for name, tt := range map[string]struct {
		patience int
		want     time.Duration
	}{"by default": {0, files.Endless}, "with a limit": {3, 3 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			step := Step{Run: "test-1", Name: "a", Deadline: time.Now().Add(time.Hour).Unix(), Patience: tt.patience}
			config, err := connectRun(t.Context(), a, step, false, nil)
			if err != nil || config.Patience != tt.want {
				t.Errorf("it waits for %s, %v", config.Patience, err)
			}
		})
	}
}

func TestDescribeWaiting(t *testing.T) {
	for want, err := range map[string]error{
		"waits for redis, for 1m5s so far: refused": errors.New("refused"),
		"redis answers again, after 1m5s":           nil,
	} {
		if got := describeWaiting(65*time.Second, err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
