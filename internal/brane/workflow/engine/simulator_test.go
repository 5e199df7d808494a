package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// schedules is the number of event orders that the simulator runs.
const schedules = 100_000

// TestSchedules runs the decisions through random orders of events in a simulated cluster and Redis: announcements and watch events are
// lost, doubled and delayed in any order, Jobs fail and are deleted, and the engine is killed and another one resumes. Then:
//   - every run ends, and succeeds unless a command failed or a Job was deleted;
//   - no step starts before its needs have ended, and no command of a committed step starts;
//   - an engine creates no Job for a step whose commit it could have read, or whose allowed failure is stored.
func TestSchedules(t *testing.T) {
	t.Parallel()
	var graphs []workflow.Graph
	for seed := uint64(0); len(graphs) < 200; seed++ {
		if g := randomGraph(t, rand.New(rand.NewPCG(seed, 7))); len(g.Steps()) <= 4 { // four steps are enough for all interactions
			graphs = append(graphs, g)
		}
	}
	for seed := range uint64(schedules) {
		random := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(graphs[random.IntN(len(graphs))], random)
		if problem := w.play(); problem != "" {
			t.Fatalf("seed %d: %s\n%s", seed, problem, w)
		}
	}
}

// simJob is one Job of the simulated cluster.
type simJob struct {
	attempt
	complete, deleted, left bool // left: its pod still runs, after the Job was deleted or has failed
	idle                    bool // its agent found the step committed and runs no command
	ended, term             int  // the terms in which it ended or was deleted, and in which that was noticed
}

// fact is an event on its way to the engine.
type fact struct {
	kind   string // announced, failed, complete, deleted
	step   string
	number int
}

// world is a cluster, a Redis and the engine that looks at them.
type world struct {
	random    *rand.Rand
	graph     workflow.Graph
	jobs      []*simJob
	committed map[string]bool
	stands    map[string]bool // stored allowed failures
	onTheWay  []fact
	harmed    bool     // a command failed, or a Job was deleted
	convicted []simJob // Jobs whose steps have failed

	engine  *state
	read    map[string]bool // the commits at the last look of the engine
	term    int
	changed bool // whether the engine knows more than at its last decision
	faults  int  // number of further faults
	history []fact
}

func newWorld(g workflow.Graph, random *rand.Rand) *world {
	return &world{random: random, graph: g, committed: map[string]bool{}, stands: map[string]bool{}, faults: random.IntN(4)}
}

func (w *world) String() string {
	var lines []string
	for _, f := range w.history {
		lines = append(lines, fmt.Sprintf("%s %s %d", f.kind, f.step, f.number))
	}
	return strings.Join(lines, "; ")
}

// play runs until the run has ended for the engine, and returns what is wrong.
func (w *world) play() string {
	w.takeOver()
	for range 1000 {
		if w.changed { // otherwise the decision is the same
			w.changed = false
			w.decideAhead()
			if w.engine.decide().hasEnded {
				return w.outcome()
			}
			if problem := w.decide(); problem != "" {
				return problem
			}
		}
		switch n := w.random.IntN(10); {
		case n < 4:
			if problem := w.work(); problem != "" {
				return problem
			}
		case n < 8:
			w.deliver()
		case n < 9:
			w.resync()
		default:
			w.fault()
		}
	}
	return "the run does not end"
}

// takeOver starts a new engine, like takeUp.
func (w *world) takeOver() {
	w.term++
	w.engine, w.read, w.changed = newState(w.graph), map[string]bool{}, true
	w.look(all)
	for step := range w.stands {
		w.engine.restoreFailure(step)
	}
	var found []attempt
	for _, job := range w.jobs {
		if !job.deleted {
			found = append(found, job.attempt)
		}
	}
	for _, step := range w.engine.adoptJobs(found) {
		w.tell("adopted", step, w.engine.latestAttempt(step))
	}
	w.list()
}

// list opens a new watch, which delivers all existing Jobs, and nothing about deleted ones.
func (w *world) list() {
	w.onTheWay = nil
	for _, job := range w.jobs {
		if !job.deleted {
			w.watch(job)
		}
	}
}

// latest returns the latest Job of a step.
func (w *world) latest(step string) (latest *simJob) {
	for _, job := range w.jobs {
		if job.step == step && (latest == nil || job.number > latest.number) {
			latest = job
		}
	}
	return latest
}

// watch sends what a watch delivers about a Job.
func (w *world) watch(job *simJob) {
	switch {
	case job.deleted:
		w.onTheWay = append(w.onTheWay, fact{"deleted", job.step, job.number})
	case job.isOver:
		w.onTheWay = append(w.onTheWay, fact{"failed", job.step, job.number})
	case job.complete:
		w.onTheWay = append(w.onTheWay, fact{"complete", job.step, job.number})
	}
}

// decide creates the Jobs that have to be created now.
func (w *world) decide() string {
	decision := w.engine.decide()
	for _, step := range decision.listReady(0) {
		if w.read[step] {
			return fmt.Sprintf("step %s is started, whose commit was read", step)
		}
		if w.stands[step] {
			return fmt.Sprintf("step %s is started, whose failure stands", step)
		}
		for _, need := range w.graph.Step(step).Needs {
			if !decision.areSettled([]string{need}) {
				return fmt.Sprintf("step %s is started before the files of %s are known", step, need)
			}
		}
		number := w.engine.nextAttempt(step, w.term)
		for _, job := range w.jobs {
			if job.step == step && job.number == number {
				return fmt.Sprintf("attempt %d of step %s is made twice", number, step)
			}
			if job.step == step && !job.isOver && !job.deleted && !job.complete {
				return fmt.Sprintf("step %s is started while its attempt %d runs", step, job.number)
			}
		}
		w.jobs = append(w.jobs, &simJob{attempt: attempt{step: step, number: number}, idle: w.committed[step]})
		w.engine.recordJob(step, number)
		w.tell("made", step, number)
	}
	return ""
}

// decideAhead creates and deletes early Jobs, while pods are scheduled and lose their nodes.
func (w *world) decideAhead() {
	begin, withdraw := decidePrewarm(w.engine, func(string) bool { return w.random.IntN(3) > 0 }, len(w.graph.Steps()))
	for _, step := range withdraw {
		job := w.latest(step)
		job.deleted, job.ended = true, w.term
		w.engine.withdrawPrewarmed(step)
		w.tell("taken back", step, job.number)
	}
	for _, step := range begin {
		number := w.engine.nextAttempt(step, w.term)
		w.jobs = append(w.jobs, &simJob{attempt: attempt{step: step, number: number}, idle: w.committed[step]})
		w.engine.recordJob(step, number)
		w.tell("made early", step, number)
	}
}

// work advances one Job.
func (w *world) work() string {
	if len(w.jobs) == 0 {
		return ""
	}
	job := w.jobs[w.random.IntN(len(w.jobs))]
	running := !job.isOver && !job.deleted && !job.complete
	if !running && !job.left {
		return ""
	}
	for _, need := range w.graph.Step(job.step).Needs {
		if canPrewarm(w.graph, job.step) && !w.committed[need] {
			return "" // its agent waits
		}
	}
	if w.committed[job.step] && !job.idle {
		// The other pod of the step was first: this commit is rejected.
		job.left = false
	} else if !job.idle {
		w.committed[job.step], job.left = true, false
		w.tell("commits", job.step, job.number)
		w.onTheWay = append(w.onTheWay, fact{"announced", job.step, job.number})
	}
	if running {
		job.complete = true
		w.watch(job)
	}
	return ""
}

// deliver delivers one event to the engine: in any order, sometimes twice, sometimes not at all.
func (w *world) deliver() {
	if len(w.onTheWay) == 0 {
		return
	}
	i := w.random.IntN(len(w.onTheWay))
	f := w.onTheWay[i]
	if w.random.IntN(5) > 0 { // otherwise it is delivered again
		w.onTheWay[i] = w.onTheWay[len(w.onTheWay)-1]
		w.onTheWay = w.onTheWay[:len(w.onTheWay)-1]
	}
	if w.random.IntN(5) == 0 {
		return // lost
	}
	w.changed = true // pods change in the meantime
	if f.kind != "announced" {
		w.engine.markUnconfirmed(f.step, f.number, failureReason{f.kind, ""})
	}
	w.look(func(step string) bool { return step == f.step })
}

// all selects all steps.
func all(string) bool { return true }

// look reads the commits of the selected steps and of those that are unconfirmed, which have failed if there is none.
func (w *world) look(isHinted func(step string) bool) {
	for _, step := range w.engine.listUnsettled() {
		if isRead := isHinted(step) || w.engine.phaseOf(step) == unconfirmed; isRead && w.committed[step] {
			w.read[step] = true
			w.changed = w.engine.recordCommit(step) || w.changed
		}
	}
	for step, why := range w.engine.confirmFailures() {
		w.changed = true
		job := *w.latest(step)
		job.term = w.term
		w.convicted = append(w.convicted, job)
		w.stands[step] = w.stands[step] || w.graph.Step(step).AllowFailure
		w.tell(why.reason, step, w.engine.latestAttempt(step))
	}
}

// resync lists and handles all Jobs, like the loop after some time without events.
func (w *world) resync() {
	w.list()
	var there []attempt
	for _, job := range w.jobs {
		if !job.deleted {
			there = append(there, job.attempt)
		}
	}
	w.changed = true
	for _, step := range w.engine.listMissing(there) {
		w.engine.markUnconfirmed(step, w.engine.latestAttempt(step), vanished)
	}
	w.look(all)
}

// fault causes one fault.
func (w *world) fault() {
	if w.faults == 0 {
		return
	}
	w.faults--
	if w.random.IntN(2) == 0 || len(w.jobs) == 0 {
		w.tell("engine killed", "", w.term)
		w.takeOver()
		return
	}
	job := w.jobs[w.random.IntN(len(w.jobs))]
	if job.isOver || job.deleted {
		return
	}
	if w.random.IntN(2) == 0 {
		job.deleted = true // deleted from outside; the pod may still commit
		w.tell("deleted", job.step, job.number)
	} else if !job.complete {
		job.isOver = true // its command failed, or its node died and the pod becomes reachable again
		w.tell("fails", job.step, job.number)
	} else {
		return
	}
	job.ended = w.term
	job.left = !job.complete && w.random.IntN(2) == 0
	w.harmed = w.harmed || !w.committed[job.step]
	w.watch(job)
}

// outcome returns what is wrong with the end of the run.
func (w *world) outcome() string {
	for _, job := range w.convicted {
		if !job.isOver && !job.deleted {
			return fmt.Sprintf("step %s has failed, but its attempt %d has not", job.step, job.number)
		}
		if job.ended < job.term {
			return fmt.Sprintf("step %s has failed by attempt %d, which was over before", job.step, job.number)
		}
	}
	for _, step := range w.graph.Steps() {
		switch {
		case w.engine.phaseOf(step) == committed && !w.committed[step]:
			return fmt.Sprintf("step %s is taken for committed", step)
		case w.engine.phaseOf(step) == failed && w.read[step]:
			return fmt.Sprintf("step %s is taken for failed, and its commit was read", step)
		case !w.harmed && w.engine.phaseOf(step) != committed && w.graph.Step(step).When == workflow.OnSuccess && !buildsOnHandler(w.graph, step):
			return fmt.Sprintf("nothing went wrong, and step %s is not committed", step)
		}
	}
	return ""
}

func (w *world) tell(what, step string, number int) {
	w.history = append(w.history, fact{what, step, number})
}
