package files

import (
	"sync"
	"time"
)

const (
	// firstReport is how long commands fail before that is reported: a fail-over may take as long.
	firstReport = 5 * time.Second
	// nextReport is the interval between two reports of one outage.
	nextReport = time.Minute
)

// Waiting reports that the commands of a store have been failing since a time, and are repeated. err is the last answer, and nil when the
// server answers again. It is not called concurrently.
type Waiting func(since time.Time, err error)

// outage collects the failures of the commands of a store, which are sent concurrently, so that an outage is reported once. The nil value
// reports nothing.
type outage struct {
	report Waiting

	mu       sync.Mutex
	failing  int       // commands
	since    time.Time // when the first of them was sent
	reported time.Time // the last report of this outage
}

// beginFailure notes that a command has failed that was sent at this time.
func (o *outage) beginFailure(sent time.Time) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing == 0 {
		o.since, o.reported = sent, time.Time{}
	}
	o.failing++
}

// continueFailure reports the outage if that is due.
func (o *outage) continueFailure(err error, now time.Time) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.since) < firstReport || now.Sub(o.reported) < nextReport {
		return
	}
	o.reported = now
	o.report(o.since, err)
}

// endFailure notes that a command that had failed is not repeated any more. The outage has ended if it was the last one, and succeeded.
func (o *outage) endFailure(hasSucceeded bool) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing--; o.failing == 0 && hasSucceeded && !o.reported.IsZero() {
		o.report(o.since, nil)
	}
}
