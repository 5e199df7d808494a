package workflow

import (
	"maps"
	"slices"
)

// progress is what one Execute knows of its run. Its methods take facts and answer what they mean; they call nothing and wait for nothing, so a test can put
// the facts into any order, lose them and repeat them.
//
// Facts about Jobs are about one attempt. What an earlier attempt of a step still tells is not taken.
type progress struct {
	graph    Graph
	known    map[string]phase
	attempts map[string]int       // of each step, the latest; 0 where there was none
	notEarly map[string]bool      // whose early Job was taken back once
	suspects map[string]suspicion // started steps that cannot commit any more, unless they have: the commits decide
}

// suspicion is what would be the reason of a step's failure.
type suspicion struct{ reason, message string }

func newProgress(g Graph) progress {
	return progress{graph: g, known: map[string]phase{}, attempts: map[string]int{}, notEarly: map[string]bool{}, suspects: map[string]suspicion{}}
}

// attempt is a Job that was there before this Execute.
type attempt struct {
	step   string
	number int
	over   bool // it has failed or is being deleted: nothing will come of it
}

// adopt takes up what earlier Executes have begun, once the commits are known. A step whose latest Job still goes on is started; one whose Job is over waits
// for the next attempt.
func (p *progress) adopt(jobs []attempt) (adopted []string) {
	latest := map[string]attempt{}
	for _, job := range jobs {
		if _, ours := p.graph.steps[job.step]; ours && job.number > latest[job.step].number {
			latest[job.step] = job
		}
	}
	for _, step := range p.graph.order {
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

// stand is that the failure of a step stands, whose end an earlier Execute has seen.
func (p *progress) stand(step string) {
	if p.known[step] == waiting {
		p.known[step] = failed
	}
}

// nextAttempt is the number of a step's next attempt. It is at least term, so that no two Executes use one twice.
func (p *progress) nextAttempt(step string, term int) int { return max(term, p.attempts[step]+1) }

// begin is that the Job of an attempt is made.
func (p *progress) begin(step string, number int) {
	p.attempts[step], p.known[step] = number, p.phaseOf(step)
}

// commit is that the commit of a step was read. It answers whether that is news.
func (p *progress) commit(step string) bool {
	if p.known[step] == committed {
		return false
	}
	p.known[step] = committed
	delete(p.suspects, step)
	p.promote()
	return true
}

// suspect is that an attempt will not commit any more. It answers whether the commits are worth reading: the attempt may have committed before it ended.
func (p *progress) suspect(step string, number int, why suspicion) bool {
	if p.known[step] == early && p.attempts[step] == number {
		p.takeBack(step) // its program has not run
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

// convict is that the commits were read after all that is known so far: what is still suspect has failed.
func (p *progress) convict() map[string]suspicion {
	failures := p.suspects
	p.suspects = map[string]suspicion{}
	for step := range failures {
		p.known[step] = failed
	}
	return failures
}

// missing are the steps that should have a Job, and have none among these attempts.
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
