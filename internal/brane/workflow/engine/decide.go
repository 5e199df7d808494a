package engine

import (
	"slices"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

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

// listReadyEmpty returns the fan-out steps without indexes to complete now. They need no Job, so no limit applies to them.
func listReadyEmpty(graph workflow.Graph, phaseOf func(step string) phase) []string {
	fates, _ := decideFates(graph, phaseOf)
	return slices.DeleteFunc(graph.Steps(), func(name string) bool { return fates[name] != ready || !graph.Step(name).IsEmpty })
}

// listReady returns the steps to start now. At most parallel Jobs run at the same time; 0 means no limit. It is a pure function: the same
// input gives the same steps in the same order.
func listReady(graph workflow.Graph, phaseOf func(step string) phase, parallel int) []string {
	fates, _ := decideFates(graph, phaseOf)
	free := len(fates)
	if parallel > 0 {
		free = parallel
		for _, fate := range fates {
			if fate == started {
				free--
			}
		}
	}
	var names []string
	for _, name := range graph.Steps() {
		if fates[name] == ready && !graph.Step(name).IsEmpty && len(names) < free {
			names = append(names, name)
		}
	}
	return names
}

// hasEnded reports whether the run has ended. After a failure that is not allowed it has ended as soon as no step is left that runs after
// failures; steps that still run then have to be stopped.
func hasEnded(graph workflow.Graph, phaseOf func(step string) phase) bool {
	fates, hasFailed := decideFates(graph, phaseOf)
	for _, name := range graph.Steps() {
		if !fates[name].isFinal() && (!hasFailed || graph.Step(name).When != workflow.OnSuccess) {
			return false
		}
	}
	return true
}

// decideFates returns the fate of each step, and whether the run has failed. After a failure that is not allowed only steps start that run after
// failures.
func decideFates(graph workflow.Graph, phaseOf func(step string) phase) (fates map[string]fate, hasFailed bool) {
	names := graph.Steps()
	for _, name := range names {
		if phaseOf(name) == failed && !graph.Step(name).AllowFailure {
			hasFailed = true
		}
	}
	fates = map[string]fate{}
	for _, name := range names { // every step comes after its needs
		switch phaseOf(name) {
		case prewarmed, running, unconfirmed:
			fates[name] = started
		case committed:
			fates[name] = succeeded
		case failed:
			fates[name] = broken
		case pending:
			fates[name] = decidePending(graph.Step(name), fates, hasFailed)
		}
	}
	return fates, hasFailed
}

// decidePending returns the fate of a step that has not started, given the fates of its needs.
func decidePending(step workflow.Step, fates map[string]fate, hasFailed bool) fate {
	areFinal, areGood, isBad := true, true, false
	for _, need := range step.Needs {
		areFinal = areFinal && fates[need].isFinal()
		areGood = areGood && fates[need] == succeeded
		isBad = isBad || fates[need] == broken || fates[need] == cancelled
	}
	switch {
	case step.When == workflow.OnSuccess && (isBad || hasFailed):
		return cancelled
	case !areFinal:
		return blocked
	case step.When == workflow.OnSuccess && !areGood, step.When == workflow.OnFailure && !isBad:
		return notNeeded
	}
	return ready
}

// findWithoutFiles returns a function that reports whether a step has ended without files or will never start.
func findWithoutFiles(graph workflow.Graph, phaseOf func(step string) phase) func(step string) bool {
	fates, _ := decideFates(graph, phaseOf)
	return func(step string) bool { return fates[step].isFinal() && fates[step] != succeeded }
}
