package engine

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The state machine of a step. Only this file changes a phase, and only by the transitions below. The methods of state are given facts and
// return their consequences; they make no requests and do not wait, so a test can reorder, lose and repeat the facts. Facts about Jobs are
// about one attempt; facts about earlier attempts of a step are ignored.

// phase is how far a step is.
type phase int

const (
	pending     phase = iota // it has no Job
	prewarmed                // its Job was created before its needs have ended; its agent waits for them
	running                  // its Job was created
	unconfirmed              // its Job will not commit any more; it has failed unless it has committed already
	failed                   // it has failed, which is final in this execution
	committed                // its files are stored, which is final
)

// event is what changes the phase of a step.
type event int

const (
	jobCreated       event = iota // or found from an earlier execution; its needs have ended
	jobPrewarmed                  // the same, before its needs have ended
	needsCommitted                // the last need has committed
	prewarmEnded                  // a need lost its pod, the run has failed, or the early Job has ended
	jobRefused                    // the API server does not accept its Job
	attemptLost                   // its pod does not end, and its node is not ready
	cannotCommit                  // its Job has failed, is complete without a commit or was deleted, or its pod has exceeded its timeout
	indexesConflict               // all indexes are committed, but their files conflict
	failureRestored               // an earlier process has stored its failure, which is final for this one
	failureConfirmed              // the commits were read after cannotCommit or indexesConflict, and there is still none
	commitRead                    // its commit was read
	retryDecided                  // the commits were read after cannotCommit, and its command has not started: that does not count
)

// transitions are all changes of a phase. An event that is not listed for a phase changes nothing.
//
// A failed step stays so, even if a pod that was unreachable commits it later: other steps have started or were cancelled because of the
// failure. The next execution finds the commit, which wins over a stored allowed failure, because commits are read before stored failures.
var transitions = map[event]map[phase]phase{
	jobCreated:       {pending: running},
	jobPrewarmed:     {pending: prewarmed},
	needsCommitted:   {prewarmed: running},
	prewarmEnded:     {prewarmed: pending},
	jobRefused:       {pending: unconfirmed},
	attemptLost:      {running: pending},
	cannotCommit:     {running: unconfirmed},
	indexesConflict:  {pending: unconfirmed, running: unconfirmed, unconfirmed: unconfirmed},
	failureRestored:  {pending: failed},
	failureConfirmed: {unconfirmed: failed},
	retryDecided:     {unconfirmed: pending},
	commitRead:       {pending: committed, prewarmed: committed, running: committed, unconfirmed: committed},
}

// failureReason is why a step cannot commit any more.
type failureReason struct{ reason, message string }

// stepState is the state of one step.
type stepState struct {
	phase              phase
	attempt            int           // the latest; 0 if there was none
	isPrewarmForbidden bool          // its early Job was deleted, has ended or cannot be built
	reason             failureReason // of an unconfirmed step
}

// state is what one execution knows about the steps of its run.
type state struct {
	graph       workflow.Graph
	steps       map[string]*stepState
	unconfirmed map[string]bool // the steps in this phase
	decided     *decision       // what follows from the phases; nil if one has changed since
}

func newState(graph workflow.Graph) *state {
	s := &state{graph: graph, steps: map[string]*stepState{}, unconfirmed: map[string]bool{}}
	for _, name := range graph.Steps() {
		s.steps[name] = &stepState{}
	}
	return s
}

// applyEvent changes the phase of a step, and reports whether the event is a transition of that phase.
func (s *state) applyEvent(name string, event event) bool {
	step, found := s.steps[name]
	if !found {
		return false
	}
	to, isTransition := transitions[event][step.phase]
	if !isTransition {
		return false
	}
	step.phase = to
	s.decided = nil
	if to == unconfirmed {
		s.unconfirmed[name] = true
	} else {
		delete(s.unconfirmed, name)
	}
	return true
}

// decide returns the decision that follows from the phases.
func (s *state) decide() decision {
	if s.decided == nil {
		made := decideFates(s.graph, s.phaseOf)
		s.decided = &made
	}
	return *s.decided
}

// phaseOf returns the phase of a step.
func (s *state) phaseOf(name string) phase {
	if step, found := s.steps[name]; found {
		return step.phase
	}
	return pending
}

// latestAttempt returns the number of a step's latest attempt; 0 if there was none.
func (s *state) latestAttempt(name string) int {
	if step, found := s.steps[name]; found {
		return step.attempt
	}
	return 0
}

// nextAttempt returns the number of a step's next attempt. It is at least the number of acquisitions of the lease, so that no two
// executions use the same number.
func (s *state) nextAttempt(name string, acquisitions int) int {
	return max(acquisitions, s.latestAttempt(name)+1)
}

// attempt is a Job of a step.
type attempt struct {
	step        string
	number      int
	isOver      bool       // it has failed or is being deleted, so it will not commit
	hasFailed   bool       // it has failed, and is not being deleted
	record      types.UID  // of the record of the run that owns it
	isComplete  bool       // all of its pods have succeeded
	completions int        // of an Indexed Job
	indexes     []int      // of its step that it runs, by completion index; empty means all
	agent       agent.Step // what its agents know about the step
	timeout     int64      // of the Job, in seconds; 0 if it has none
}

// attemptKey identifies an attempt.
type attemptKey struct {
	step   string
	number int
}

func (a attempt) key() attemptKey { return attemptKey{a.step, a.number} }

// indexAt returns the index of the step that a pod with this completion index runs.
func (a attempt) indexAt(completion int) int {
	if completion < len(a.indexes) {
		return a.indexes[completion]
	}
	return completion
}

// adoptJobs resumes what earlier executions have started, when the commits are known. A step whose latest Job still runs is running; a step
// whose Job is over waits for the next attempt.
func (s *state) adoptJobs(jobs []attempt) (adopted []string) {
	latest := map[string]attempt{}
	for _, job := range jobs {
		if job.number > latest[job.step].number {
			latest[job.step] = job
		}
	}
	for _, name := range s.graph.Steps() {
		job, found := latest[name]
		if !found {
			continue
		}
		s.steps[name].attempt = job.number
		if !job.isOver && s.applyEvent(name, s.creationOf(name)) {
			adopted = append(adopted, name)
		}
	}
	return adopted
}

// creationOf returns the event that a Job of the step was created: before its needs have ended, or afterwards.
func (s *state) creationOf(name string) event {
	if canPrewarm(s.graph, name) && !s.areNeedsCommitted(name) {
		return jobPrewarmed
	}
	return jobCreated
}

// recordJob records that the Job of an attempt was created.
func (s *state) recordJob(name string, number int) {
	if s.applyEvent(name, s.creationOf(name)) {
		s.steps[name].attempt = number
	}
}

// withdrawPrewarmed records that the early Job of a step was deleted or has ended. Its command has not run.
func (s *state) withdrawPrewarmed(name string) bool {
	isWithdrawn := s.applyEvent(name, prewarmEnded)
	if isWithdrawn {
		s.forbidPrewarm(name)
	}
	return isWithdrawn
}

// forbidPrewarm records that the Job of a step is not created before its needs have ended.
func (s *state) forbidPrewarm(name string) { s.steps[name].isPrewarmForbidden = true }

// refuseJob records that the API server does not accept the Job of a step. An early Job is only not created.
func (s *state) refuseJob(name string, why failureReason) {
	if s.creationOf(name) == jobPrewarmed {
		s.forbidPrewarm(name)
	} else if s.applyEvent(name, jobRefused) {
		s.steps[name].reason = why
	}
}

// abandonAttempt records that an attempt was lost with its node. It reports whether the step needs another one.
func (s *state) abandonAttempt(name string, number int) bool {
	return s.latestAttempt(name) == number && s.applyEvent(name, attemptLost)
}

// restoreFailure records a failure that an earlier process has stored. It reports whether the step has failed because of that.
func (s *state) restoreFailure(name string) bool { return s.applyEvent(name, failureRestored) }

// recordCommit records that a commit was read. It reports whether the step is committed because of that.
func (s *state) recordCommit(name string) bool {
	if !s.applyEvent(name, commitRead) {
		return false
	}
	for _, other := range s.listPrewarmed() {
		if s.areNeedsCommitted(other) {
			s.applyEvent(other, needsCommitted)
		}
	}
	return true
}

// markUnconfirmed records that an attempt will not commit any more. The commits have to be read then, because the attempt may have committed
// before it ended.
func (s *state) markUnconfirmed(name string, number int, why failureReason) {
	if s.latestAttempt(name) != number || s.withdrawPrewarmed(name) {
		return
	}
	if s.applyEvent(name, cannotCommit) {
		s.steps[name].reason = why // the first one: the others follow from it
	}
}

// markConflict records that all indexes of a fan-out step are committed, but that their files conflict. Whatever else is known of its Job,
// that is the reason.
func (s *state) markConflict(name string, why failureReason) {
	if s.applyEvent(name, indexesConflict) {
		s.steps[name].reason = why
	}
}

// confirmFailures records that the commits were read after all known facts: the unconfirmed steps have failed. It returns them.
func (s *state) confirmFailures() map[string]failureReason {
	failures := s.listUnconfirmed()
	for name := range failures {
		s.applyEvent(name, failureConfirmed)
	}
	return failures
}

// listUnconfirmed returns the unconfirmed steps, and why they cannot commit.
func (s *state) listUnconfirmed() map[string]failureReason {
	reasons := map[string]failureReason{}
	for name := range s.unconfirmed {
		reasons[name] = s.steps[name].reason
	}
	return reasons
}

// retryStep records that an unconfirmed step gets another attempt, because its command has not started.
func (s *state) retryStep(name string) {
	if s.applyEvent(name, retryDecided) {
		s.steps[name].reason = failureReason{}
	}
}

// hasUnconfirmed reports whether a step is unconfirmed.
func (s *state) hasUnconfirmed() bool { return len(s.unconfirmed) > 0 }

// hasJobs reports whether a step has a Job that may still commit it.
func (s *state) hasJobs() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(s.steps)), func(step *stepState) bool { return step.phase.hasJob() })
}

// listUnsettled returns the steps whose commits matter: a commit and a failure are final.
func (s *state) listUnsettled() []string {
	return slices.DeleteFunc(s.graph.Steps(), func(name string) bool { return s.phaseOf(name) == committed || s.phaseOf(name) == failed })
}

// listPrewarmed returns the steps whose Jobs wait for their needs.
func (s *state) listPrewarmed() []string {
	return slices.DeleteFunc(s.graph.Steps(), func(name string) bool { return s.phaseOf(name) != prewarmed })
}

// listMissing returns the steps that should have a Job but have none among these attempts.
func (s *state) listMissing(jobs []attempt) []string {
	found := map[string]bool{}
	for _, job := range jobs {
		if job.number == s.latestAttempt(job.step) {
			found[job.step] = true
		}
	}
	return slices.DeleteFunc(s.graph.Steps(), func(name string) bool { return !s.phaseOf(name).hasJob() || found[name] })
}

// hasJob reports whether a step in this phase has a Job that has not committed.
func (p phase) hasJob() bool { return p == prewarmed || p == running || p == unconfirmed }

// areNeedsCommitted reports whether all needs of a step are committed.
func (s *state) areNeedsCommitted(name string) bool {
	needs, _ := s.graph.Condition(name)
	return !slices.ContainsFunc(needs, func(need string) bool { return s.phaseOf(need) != committed })
}
