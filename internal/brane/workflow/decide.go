package workflow

// phase is how far a step has come.
type phase int

const (
	waiting   phase = iota // no Job yet
	started                // its Job is made
	committed              // its files are stored; nothing can undo that
	failed                 // its Job will not commit any more
)

// next names the steps to start now: those that wait for nothing any more. After a failure nothing new is started.
// It calls nothing and waits for nothing; the same input gives the same steps in the same order.
func next(g Graph, known map[string]phase) []string {
	var ready []string
	for _, name := range g.order {
		switch known[name] {
		case failed:
			return nil
		case waiting:
			if all(g.steps[name].Needs, known, committed) {
				ready = append(ready, name)
			}
		case started, committed:
		}
	}
	return ready
}

// ended says whether the run is over: every step is committed, or one has failed.
func ended(g Graph, known map[string]phase) bool {
	for _, name := range g.order {
		if known[name] == failed {
			return true
		}
	}
	return all(g.order, known, committed)
}

func all(names []string, known map[string]phase, want phase) bool {
	for _, name := range names {
		if known[name] != want {
			return false
		}
	}
	return true
}
