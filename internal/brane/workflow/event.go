package workflow

import "time"

// Event is something that happened in a run.
type Event struct {
	At     time.Time
	Step   string // empty where it concerns the whole run
	Kind   EventKind
	Detail string
}

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	StepStarted   EventKind = "step started"   // its Job is made
	StepAdopted   EventKind = "step adopted"   // its Job was there already
	StepCommitted EventKind = "step committed" // its files are stored
	StepWithdrawn EventKind = "step withdrawn" // its Job was made early and is taken back
	StepFailed    EventKind = "step failed"
	RunWaits      EventKind = "run waits"     // another process holds its lease
	RunShares     EventKind = "run shares"    // Redis makes no users, so the pods have the credential of all runs
	RunStages     EventKind = "run stages"    // nobody has said how the agent gets into the pods, and it is by init containers
	RunDisturbed  EventKind = "run disturbed" // the cluster or Redis does not answer; it is tried again
)

// String is the event as a line of a log.
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
