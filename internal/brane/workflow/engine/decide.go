package engine

import "github.com/braneframework/terraform-provider-brane/internal/brane/workflow"

// phase is the progress of a step.
type phase int

const (
	waiting   phase = iota // no Job yet
	started                // its Job is created
	early                  // its Job is created before its needs have ended; its agent waits for them
	committed              // its files are stored, which is final
	failed                 // its Job can no longer commit
)

// fate is what happens to a step, given the phases of all steps.
type fate int

const (
	open      fate = iota // its needs have not ended yet
	ready                 // it can start
	running               // its Job is created
	done                  // it is committed
	broken                // it has failed
	spared                // it will not start, because no failure occurred that it is meant for
	cancelled             // it will not start, because a step that it depends on has failed
)

// over reports whether the fate is final.
func (f fate) over() bool { return f >= done }

// next returns the steps to start now. At most parallel Jobs run at the same time; 0 means no limit. It is a pure function: the same input gives the same steps in
// the same order.
func next(g workflow.Graph, known map[string]phase, parallel int) []string {
	fates, _ := decide(g, known)
	free := len(g.Steps())
	if parallel > 0 {
		free = parallel
		for _, fate := range fates {
			if fate == running {
				free--
			}
		}
	}
	var names []string
	for _, name := range g.Steps() {
		if fates[name] == ready && len(names) < free {
			names = append(names, name)
		}
	}
	return names
}

// ended reports whether the run has ended. After a failure that is not allowed it has ended as soon as no step is left that runs after failures; steps that still
// run then have to be stopped.
func ended(g workflow.Graph, known map[string]phase) bool {
	fates, hasFailed := decide(g, known)
	for _, name := range g.Steps() {
		if !fates[name].over() && (!hasFailed || g.Step(name).When != workflow.OnSuccess) {
			return false
		}
	}
	return true
}

// decide returns the fate of each step, and whether the run has failed. After a failure that is not allowed only steps start that run after failures.
func decide(g workflow.Graph, known map[string]phase) (fates map[string]fate, hasFailed bool) {
	for _, name := range g.Steps() {
		if known[name] == failed && !g.Step(name).AllowFailure {
			hasFailed = true
		}
	}
	fates = map[string]fate{}
	for _, name := range g.Steps() { // every step comes after its needs
		switch known[name] {
		case started, early:
			fates[name] = running
		case committed:
			fates[name] = done
		case failed:
			fates[name] = broken
		case waiting:
			fates[name] = decideFate(g.Step(name), fates, hasFailed)
		}
	}
	return fates, hasFailed
}

// decideFate returns the fate of a step that has not started, given the fates of its needs.
func decideFate(s workflow.Step, fates map[string]fate, hasFailed bool) fate {
	over, good, bad := true, true, false
	for _, need := range s.Needs {
		over = over && fates[need].over()
		good = good && fates[need] == done
		bad = bad || fates[need] == broken || fates[need] == cancelled
	}
	switch {
	case s.When == workflow.OnSuccess && (bad || hasFailed):
		return cancelled
	case !over:
		return open
	case s.When == workflow.OnSuccess && !good, s.When == workflow.OnFailure && !bad:
		return spared
	}
	return ready
}

// leavesNothing returns a function that reports whether a step has ended without files or will never start.
func leavesNothing(g workflow.Graph, known map[string]phase) func(step string) bool {
	fates, _ := decide(g, known)
	return func(step string) bool { return fates[step].over() && fates[step] != done }
}
