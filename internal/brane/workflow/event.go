package workflow

import (
	"sync"
	"time"
)

// Event is something that happened in a run.
type Event struct {
	At     time.Time
	Step   string // empty if it concerns the whole run
	Kind   EventKind
	Detail string
}

// EventKind is the kind of an event.
type EventKind string

// Kinds of events.
const (
	StepStarted   EventKind = "step started"   // its Job was created
	StepAdopted   EventKind = "step adopted"   // its Job existed already
	StepCommitted EventKind = "step committed" // its files are stored
	StepReused    EventKind = "step reused"    // the files that an earlier execution has stored are still valid
	StepWithdrawn EventKind = "step withdrawn" // its Job was created early, or with another configuration, and is deleted
	StepFailed    EventKind = "step failed"
	StepWaits     EventKind = "step waits"    // for another actor: its Job is suspended, or its pod has a scheduling gate
	StepLost      EventKind = "step lost"     // its pod is on a node that does not answer; it is started again
	RunWaits      EventKind = "run waits"     // another process holds its lease, Redis does not answer, or the cluster refuses its Jobs
	RunContinues  EventKind = "run continues" // Redis answers again, or the cluster accepts Jobs
	RunShares     EventKind = "run shares"    // Redis does not allow to create users, so the pods use the credential of all runs
	RunStages     EventKind = "run stages"    // the delivery of the agent is not configured, and init containers are used
	RunDisturbed  EventKind = "run disturbed" // the cluster or Redis does not answer; the request is retried
)

// String returns the event as a line of a log.
func (e Event) String() string {
	line := string(e.Kind)
	if e.Step != "" {
		line += " " + e.Step
	}
	if e.Detail != "" {
		line += ": " + e.Detail
	}
	return line
}

// Observer is called for each event of a run, one call at a time. It may be nil.
type Observer func(Event)

// Serialize returns an observer that several goroutines may call.
func (o Observer) Serialize() Observer {
	if o == nil {
		return nil
	}
	var mu sync.Mutex
	return func(event Event) {
		mu.Lock()
		defer mu.Unlock()
		o(event)
	}
}

// Report passes an event to the observer, with the time.
func (o Observer) Report(event Event) {
	if o != nil {
		event.At = time.Now()
		o(event)
	}
}
