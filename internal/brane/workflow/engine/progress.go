package engine

import (
	"maps"
	"slices"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// progress is what one execution knows about its run. Its methods are given facts and return their consequences; they make no requests and do not wait, so a test can
// reorder, lose and repeat the facts.
//
// Facts about Jobs are about one attempt. Facts about earlier attempts of a step are ignored.
type progress struct {
	graph    workflow.Graph
	known    map[string]phase
	attempts map[string]int       // the latest of each step; 0 if there was none
	notEarly map[string]bool      // steps whose early Job was deleted once
	suspects map[string]suspicion // started steps that cannot commit any more, and have failed unless they are committed already
}

// suspicion is the possible reason of a step's failure.
type suspicion struct{ reason, message string }

func newProgress(g workflow.Graph) progress {
	return progress{graph: g, known: map[string]phase{}, attempts: map[string]int{}, notEarly: map[string]bool{}, suspects: map[string]suspicion{}}
}

// attempt is a Job that existed before this execution.
type attempt struct {
	step   string
	number int
	over   bool // it has failed or is being deleted, so it will not commit
}

// adopt resumes what earlier executions have started, when the commits are known. A step whose latest Job still runs is started; a step whose Job has ended waits for
// the next attempt.
func (p *progress) adopt(jobs []attempt) (adopted []string) {
	latest := map[string]attempt{}
	for _, job := range jobs {
		if p.graph.HasStep(job.step) && job.number > latest[job.step].number {
			latest[job.step] = job
		}
	}
	for _, step := range p.graph.Steps() {
		job, found := latest[step]
		if !found {
			continue
		}
		p.attempts[step] = job.number
		if p.known[step] == waiting && !job.over {
			p.known[step] = p.phaseOf(step)
			adopted = append(adopted, step)
		}
	}
	return adopted
}

// restoreFailure records a failure that an earlier execution has stored. It reports whether that was not known. A commit that was read before wins.
func (p *progress) restoreFailure(step string) bool {
	if p.known[step] != waiting {
		return false
	}
	p.known[step] = failed
	delete(p.suspects, step)
	return true
}

// unsettled returns the steps whose commits may still matter: a commit and a failure are final.
func (p *progress) unsettled() []string {
	return slices.DeleteFunc(slices.Clone(p.graph.Steps()), func(step string) bool { return p.known[step] == committed || p.known[step] == failed })
}

// nextAttempt returns the number of a step's next attempt. It is at least term, so that no two executions use the same number.
func (p *progress) nextAttempt(step string, term int) int { return max(term, p.attempts[step]+1) }

// begin records that the Job of an attempt was created.
func (p *progress) begin(step string, number int) {
	p.attempts[step], p.known[step] = number, p.phaseOf(step)
}

// commit records that a step is committed. It reports whether that was not known. A step that has failed stays so in this execution, even if a pod that was
// unreachable commits it: steps have started or were cancelled because of the failure. The next execution finds the commit.
func (p *progress) commit(step string) bool {
	if p.known[step] == committed || p.known[step] == failed {
		return false
	}
	p.known[step] = committed
	delete(p.suspects, step)
	p.promote()
	return true
}

// suspect records that an attempt will not commit any more. It reports whether to read the commits, because the attempt may have committed before it ended.
func (p *progress) suspect(step string, number int, why suspicion) bool {
	if p.known[step] == early && p.attempts[step] == number {
		p.takeBack(step) // its command has not run
		return false
	}
	if p.known[step] != started || p.attempts[step] != number {
		return false
	}
	if _, already := p.suspects[step]; !already {
		p.suspects[step] = why
	}
	return true
}

// conflict records that all indexes of a fan-out step are committed, but that their files conflict. Whatever else is known of its Job, that is the reason.
func (p *progress) conflict(step string, why suspicion) {
	if p.known[step] != committed && p.known[step] != failed {
		p.suspects[step] = why
	}
}

// failSuspects records that the commits were read after all known facts: steps that are still suspect have failed. It returns them.
func (p *progress) failSuspects() map[string]suspicion {
	failures := p.suspects
	p.suspects = map[string]suspicion{}
	for step := range failures {
		p.known[step] = failed
	}
	return failures
}

// missing returns the steps that should have a Job but have none among these attempts.
func (p *progress) missing(jobs []attempt) []string {
	there := map[string]bool{}
	for _, job := range jobs {
		if job.number == p.attempts[job.step] {
			there[job.step] = true
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.known)), func(step string) bool {
		return p.known[step] != started && p.known[step] != early || there[step]
	})
}
