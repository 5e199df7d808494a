package engine

import "github.com/braneframework/terraform-provider-brane/internal/brane/workflow"

// fate is what happens to a step, given the phases of all steps.
type fate int

const (
	blocked   fate = iota // its needs have not ended yet
	ready                 // it can start
	started               // its Job is created
	succeeded             // it is committed
	broken                // it has failed
	notNeeded             // it will not start, because no failure occurred that it is meant for
	cancelled             // it will not start, because a step that it depends on has failed
)

// isFinal reports whether the fate cannot change any more.
func (f fate) isFinal() bool { return f >= succeeded }

// decision is what follows from the phases of all steps.
type decision struct {
	fates map[string]fate
	// settled are the steps without files for which it is known which files their needs have. The fate of a step can be final before that, because it is
	// cancelled as soon as one of its needs has failed, while another one still runs.
	settled   map[string]bool
	hasFailed bool // after a failure that is not allowed, only steps start that run after failures
	// hasEnded is whether the run has ended. After a failure that is not allowed it has ended as soon as no step is left that runs after
	// failures; steps that still run then have to be stopped.
	hasEnded bool
	empty    []string // fan-out steps without indexes to complete now; they need no Job, so no limit applies to them
	ready    []string // other steps that can start
	started  int      // number of steps whose Jobs are created
}

// decideFates returns the decision that follows from the phases of all steps. It is a pure function: the same input gives the same steps in the
// same order.
func decideFates(graph workflow.Graph, phaseOf func(step string) phase) decision {
	names := graph.Steps()
	d := decision{fates: make(map[string]fate, len(names)), settled: map[string]bool{}, hasEnded: true}
	for _, name := range names {
		if phaseOf(name) == failed && !graph.Step(name).AllowFailure {
			d.hasFailed = true
		}
	}
	for _, name := range names { // every step comes after its needs
		needs, when := graph.Condition(name)
		fate := succeeded
		switch phaseOf(name) {
		case prewarmed, running, unconfirmed:
			fate = started
			d.started++
		case committed:
		case failed:
			fate = broken
		case pending:
			fate = d.decidePending(needs, when)
		}
		d.fates[name] = fate
		if d.hasNoFiles(name) && d.areSettled(needs) {
			d.settled[name] = true
		}
		if !fate.isFinal() && (!d.hasFailed || when != workflow.OnSuccess) {
			d.hasEnded = false
		}
		switch {
		case fate == ready && graph.Step(name).IsEmpty:
			d.empty = append(d.empty, name)
		case fate == ready:
			d.ready = append(d.ready, name)
		}
	}
	return d
}

// listReady returns the steps to start now. At most parallel Jobs run at the same time; 0 means no limit.
func (d decision) listReady(parallel int) []string {
	if parallel <= 0 {
		return d.ready
	}
	return d.ready[:min(max(parallel-d.started, 0), len(d.ready))]
}

// decidePending returns the fate of a step that has not started, given its needs and when it runs.
func (d decision) decidePending(needs []string, when workflow.When) fate {
	areGood, isBad := true, false
	for _, need := range needs {
		areGood = areGood && d.fates[need] == succeeded
		isBad = isBad || d.fates[need] == broken || d.fates[need] == cancelled
	}
	switch {
	case when == workflow.OnSuccess && (isBad || d.hasFailed):
		return cancelled
	case !d.areSettled(needs):
		return blocked
	case when == workflow.OnSuccess && !areGood, when == workflow.OnFailure && !isBad:
		return notNeeded
	}
	return ready
}

// areSettled reports whether it is known with which files a step with these needs starts.
func (d decision) areSettled(needs []string) bool {
	for _, need := range needs {
		if d.fates[need] != succeeded && !d.settled[need] {
			return false
		}
	}
	return true
}

// hasNoFiles reports whether a step has ended without files or will never start.
func (d decision) hasNoFiles(step string) bool {
	return d.fates[step].isFinal() && d.fates[step] != succeeded
}
