package files

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOutageIsReportedOnce checks what is reported while several commands fail at the same time.
func TestOutageIsReportedOnce(t *testing.T) {
	start := time.Now()
	refused := errors.New("refused")
	var got []string
	o := &outage{report: func(since time.Time, err error) { got = append(got, fmt.Sprint(since.Sub(start), " ", err)) }}
	at := func(after time.Duration) time.Time { return start.Add(after) }

	o.beginFailure(at(0)) // short
	o.continueFailure(refused, at(4*time.Second))
	o.endFailure(true)
	o.beginFailure(at(10 * time.Second)) // long, of two commands
	o.continueFailure(refused, at(12*time.Second))
	o.beginFailure(at(13 * time.Second))
	o.continueFailure(refused, at(16*time.Second))
	o.continueFailure(refused, at(20*time.Second))
	o.continueFailure(refused, at(75*time.Second))
	o.continueFailure(refused, at(77*time.Second))
	o.endFailure(true)
	o.endFailure(true)
	o.beginFailure(at(100 * time.Second)) // its context ends
	o.continueFailure(refused, at(110*time.Second))
	o.endFailure(false)
	want := []string{"10s refused", "10s refused", "10s <nil>", "1m40s refused"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got)\n%s", diff)
	}
}
