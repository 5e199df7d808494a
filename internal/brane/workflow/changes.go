package workflow

import (
	"fmt"
	"slices"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Update is a run with results and what is known about its next execution, without a connection to Redis or to the cluster. It returns
// which steps may run.
type Update struct {
	Graph    Graph                 // the configured steps; the configurations of steps that are not cached have no execution
	Earlier  Graph                 // likewise the steps of the latest execution
	Results  map[string]StepResult // of the latest execution
	Inputs   []string              // the paths of the inputs that were changed, added or removed
	Unknown  map[string]bool       // steps with values that are not known yet
	Uncached map[string]bool       // steps that run in each execution
	Gone     map[string]bool       // steps whose stored files are gone, and those whose failure is allowed and does not hold any more: see results.Store.FindGone

	Executes     bool // the run is executed also if no step has changed
	ReadsOutputs bool // the outputs are read again from the stored files
}

// ListRuns returns the steps that may run, each with the reason. No other step runs, unless its files turn out to be gone. If it is empty, the
// run need not be executed.
func (u Update) ListRuns() map[string]string {
	p := planner{u, map[string]string{}, map[string]outcome{}}
	for _, name := range u.Graph.Steps() {
		if reason := p.findReason(u.Graph.Step(name)); reason != "" {
			p.runs[name] = reason
		}
	}
	for p.addConsequences() {
	}
	return p.runs
}

// planner finds the steps that may run.
type planner struct {
	Update
	runs     map[string]string // step → reason
	outcomes map[string]outcome
}

// outcome is how a step has ended that does not run.
type outcome int

const (
	good      outcome = iota + 1 // it has files
	bad                          // it has failed, or was not started because another step has failed
	notNeeded                    // it was not started, because no failure occurred that it is meant for
)

// findReason returns why a step may run; empty if it keeps its result as far as is known. It is called for the needs of a step first.
func (p planner) findReason(step Step) string {
	result, found := p.Results[step.Name]
	switch {
	case p.Unknown[step.Name]:
		return "it has values that are not known yet"
	case !found:
		return "it is new"
	}
	if need := p.findRunningNeed(step); need != "" {
		return fmt.Sprintf("step %q may run", need)
	}
	starts, outcome := p.decideStart(step)
	switch result.Status {
	case Succeeded:
		outcome = good
	case Failed:
		if !step.AllowFailure || !p.Earlier.Step(step.Name).AllowFailure {
			return "it has failed"
		}
		outcome = bad
	case Skipped:
		p.outcomes[step.Name] = outcome
		if starts {
			return "it has not run yet"
		}
		return ""
	default:
		return "it has not ended"
	}
	p.outcomes[step.Name] = outcome
	if !starts {
		return "its condition is not met any more"
	}
	return p.findChange(step, result)
}

// findChange returns what has changed of a step with a result; empty if nothing has.
func (p planner) findChange(step Step, result StepResult) string {
	before := result.Fingerprint.Configuration()
	if p.Uncached[step.Name] { // its fingerprint has the execution
		before = p.Earlier.Step(step.Name).Fingerprint("").Configuration()
	}
	if step.Fingerprint("").Configuration() != before {
		return "its configuration has changed"
	}
	needs := p.Earlier.Step(step.Name).Needs
	if !slices.Equal(slices.Sorted(slices.Values(step.Needs)), slices.Sorted(slices.Values(needs))) {
		return "it needs other steps"
	}
	// The files of the needs contain the inputs, too, also if these do not run.
	for _, input := range slices.Sorted(slices.Values(p.Inputs)) {
		if len(step.Reads) == 0 || slices.ContainsFunc(step.Reads, func(pattern string) bool { return files.MayMeet(pattern, input) }) {
			return fmt.Sprintf("input %q has changed", input)
		}
	}
	return ""
}

// findRunningNeed returns a need of a step that may run; empty if there is none.
func (p planner) findRunningNeed(step Step) string {
	for _, need := range slices.Sorted(slices.Values(step.Needs)) {
		if _, runs := p.runs[need]; runs {
			return need
		}
	}
	return ""
}

// decideStart returns whether a step starts after its needs, whose outcomes are known, and what its outcome is if it does not.
func (p planner) decideStart(step Step) (starts bool, otherwise outcome) {
	areGood, isBad := true, false
	for _, need := range step.Needs {
		areGood = areGood && p.outcomes[need] == good
		isBad = isBad || p.outcomes[need] == bad
	}
	switch {
	case step.When == OnSuccess && isBad:
		return false, bad
	case step.When == OnSuccess && !areGood, step.When == OnFailure && !isBad:
		return false, notNeeded
	}
	return true, notNeeded
}

// addConsequences adds the steps that may run because others may, or because the run is executed. It returns whether there were any.
func (p planner) addConsequences() bool {
	before := len(p.runs)
	add := func(name, reason string) {
		if _, runs := p.runs[name]; !runs {
			p.runs[name] = reason
		}
	}
	for _, name := range p.Graph.Steps() {
		if need := p.findRunningNeed(p.Graph.Step(name)); need != "" {
			add(name, fmt.Sprintf("step %q may run", need))
		}
	}
	executes := p.Executes || len(p.runs) > 0
	for _, name := range p.Graph.Steps() {
		if executes && p.Uncached[name] && p.Results[name].Status != Skipped {
			add(name, "it is not cached")
		}
		switch { // an execution runs every step whose result it does not find
		case !executes || !p.Gone[name]:
		case p.Results[name].Status == Failed:
			add(name, "its failure is not stored any more, or it was committed after all")
		default:
			add(name, "its files are gone")
		}
	}
	if p.ReadsOutputs { // and nothing else runs
		leaves, _ := p.Graph.Leaves(func(name string) bool { return p.outcomes[name] != good })
		for _, name := range leaves {
			if p.Gone[name] {
				add(name, "its files are gone")
			}
		}
	}
	return len(p.runs) > before
}
