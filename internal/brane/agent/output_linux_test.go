package agent

import (
	"testing"
	"time"
)

// The output of a command is copied often at first, and hardly ever after hours, however much it writes.
func TestLogRefresh(t *testing.T) {
	countWrites := func(running time.Duration) (writes int) {
		for at := minLogRefresh; at < running; at += logRefresh(at) {
			writes++
		}
		return writes
	}
	for running, most := range map[time.Duration]int{10 * time.Second: 4, time.Minute: 29, time.Hour: 170, 10 * time.Hour: 710} {
		if writes := countWrites(running); writes > most || writes < most/2 {
			t.Errorf("%d writes in %s, want at most %d", writes, running, most)
		}
	}
}
