package workflow

// phase is how far a step has come.
type phase int

const (
	waiting   phase = iota // no Job yet
	started                // its Job is made
	early                  // its Job is made before its needs are over; its agent waits for them
	committed              // its files are stored; nothing can undo that
	failed                 // its Job will not commit any more
)

// fate is what becomes of a step, given how far all steps have come.
type fate int

const (
	open      fate = iota // its needs are not over yet
	ready                 // it may start
	running               // its Job is made
	done                  // it is committed
	broken                // it has failed
	spared                // it will not start: nothing went wrong that it is there for
	cancelled             // it will not start: something that it builds on went wrong
)

// over says whether nothing will change it any more.
func (f fate) over() bool { return f >= done }

// next names the steps to start now. At most parallel Jobs run at once; 0 is no limit. It calls nothing and waits for nothing;
// the same input gives the same steps in the same order.
func next(g Graph, known map[string]phase, parallel int) []string {
	fates, _ := decide(g, known)
	free := len(g.order)
	if parallel > 0 {
		free = parallel
		for _, fate := range fates {
			if fate == running {
				free--
			}
		}
	}
	var names []string
	for _, name := range g.order {
		if fates[name] == ready && len(names) < free {
			names = append(names, name)
		}
	}
	return names
}

// ended says whether the run is over. When a step has failed whose failure is not allowed, it is over as soon as no step is left that is there for
// failures; what else still runs then is to be stopped.
func ended(g Graph, known map[string]phase) bool {
	fates, hasFailed := decide(g, known)
	for _, name := range g.order {
		if !fates[name].over() && (!hasFailed || g.steps[name].When != OnSuccess) {
			return false
		}
	}
	return true
}

// decide says what becomes of each step, and whether the run has failed. After a failure that is not allowed only steps start that are there for it.
func decide(g Graph, known map[string]phase) (fates map[string]fate, hasFailed bool) {
	for _, name := range g.order {
		if known[name] == failed && !g.steps[name].AllowFailure {
			hasFailed = true
		}
	}
	fates = map[string]fate{}
	for _, name := range g.order { // every step after those that it needs
		switch known[name] {
		case started, early:
			fates[name] = running
		case committed:
			fates[name] = done
		case failed:
			fates[name] = broken
		case waiting:
			fates[name] = g.steps[name].fate(fates, hasFailed)
		}
	}
	return fates, hasFailed
}

// fate is that of a step that has not started, given those of the steps that it needs.
func (s Step) fate(fates map[string]fate, hasFailed bool) fate {
	over, good, bad := true, true, false
	for _, need := range s.Needs {
		over = over && fates[need].over()
		good = good && fates[need] == done
		bad = bad || fates[need] == broken || fates[need] == cancelled
	}
	switch {
	case s.When == OnSuccess && (bad || hasFailed):
		return cancelled
	case !over:
		return open
	case s.When == OnSuccess && !good, s.When == OnFailure && !bad:
		return spared
	}
	return ready
}

// leavesNothing says of a step whether it has ended, or never will begin, without files.
func leavesNothing(g Graph, known map[string]phase) func(step string) bool {
	fates, _ := decide(g, known)
	return func(step string) bool { return fates[step].over() && fates[step] != done }
}
