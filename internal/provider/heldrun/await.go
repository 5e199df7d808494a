package heldrun

import (
	"testing"
	"time"
)

// Patience is the limit of each wait, long enough for a busy machine.
const Patience = 3 * time.Minute

// AwaitCondition waits until a condition is true.
func AwaitCondition(t *testing.T, what string, is func() bool) {
	t.Helper()
	AwaitWithin(t, Patience, what, is)
}

// AwaitWithin waits until a condition is true, for at most a time.
func AwaitWithin(t *testing.T, most time.Duration, what string, is func() bool) {
	t.Helper()
	limit, tick := time.NewTimer(most), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited %s for %s", most, what)
		}
	}
}

// AwaitClosed waits until a channel is closed.
func AwaitClosed(t *testing.T, what string, channel <-chan struct{}) {
	t.Helper()
	select {
	case <-channel:
	case <-time.After(Patience):
		t.Fatalf("waited %s for %s", Patience, what)
	}
}
