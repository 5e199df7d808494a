package agent

import (
	"testing"
	"time"
)

// The output of a command is copied often at first, and every 30 s later, however much it writes.
func TestLogRefresh(t *testing.T) {
	countWrites := func(running time.Duration) (writes int) {
		for at := minLogRefresh; at < running; at += logRefresh(at) {
			writes++
		}
		return writes
	}
	for running, most := range map[time.Duration]int{10 * time.Second: 3, time.Minute: 5, time.Hour: 124, 10 * time.Hour: 1204} {
		if writes := countWrites(running); writes > most || writes < most-1 {
			t.Errorf("%d writes in %s, want at most %d", writes, running, most)
		}
	}
}
