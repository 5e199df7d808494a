package workflow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// MaxName limits the length of the names of runs and steps, so that the names of Jobs, which contain both, stay readable.
const MaxName = 40

// StepError describes a problem of a graph. Step is empty if it is not about a single step, Field if it is not about a single attribute,
// and Key if it is not about a single element of the attribute.
type StepError struct {
	Step, Field, Key, Problem string
	IsCycle                   bool // the steps need each other
}

func (e *StepError) Error() string { return e.Problem }

// Graph is a set of steps whose needs are steps of the set and form no cycle.
type Graph struct {
	steps map[string]Step
	order []string // topological, and by name among steps that do not depend on each other
}

// NewGraph checks the steps. The error joins a [StepError] for each problem.
func NewGraph(steps []Step) (Graph, error) {
	g := Graph{steps: map[string]Step{}}
	var problems []error
	for _, step := range steps {
		if step.Configuration == "" {
			step.Configuration = step.DigestConfiguration(Triggers{})
		}
		g.steps[step.Name] = step
		problems = append(problems, step.findProblems()...)
	}
	if len(steps) == 0 {
		problems = append(problems, &StepError{Problem: "a run needs at least one step"})
	}
	for _, name := range slices.Sorted(maps.Keys(g.steps)) {
		if step := g.steps[name]; step.When != OnSuccess && len(step.Needs) == 0 {
			problems = append(problems, &StepError{Step: name, Field: "when", Problem: fmt.Sprintf("step %q has a condition on the steps that it needs, but needs none", name)})
		}
		for _, need := range g.steps[name].Needs {
			if _, ok := g.steps[need]; !ok && !g.steps[name].takesResult(need) { // the results that it takes are checked separately
				problems = append(problems, &StepError{Step: name, Field: "needs", Problem: fmt.Sprintf("step %q needs %q, which is not a step of this run", name, need)})
			}
		}
	}
	problems = append(problems, g.findCallProblems()...)
	if cycle := g.sortSteps(); cycle != nil {
		problems = append(problems, &StepError{Step: cycle[0], Field: "needs", IsCycle: true, Problem: "steps need each other: " + strings.Join(cycle, " → ")})
	}
	if len(problems) == 0 {
		problems = g.validateAgentSpecSize()
	}
	return g, errors.Join(problems...)
}

// CheckName returns the problem of a name of a run or of a step; empty if there is none.
func CheckName(name string) string {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return strings.Join(problems, "; ")
	}
	if len(name) > MaxName {
		return fmt.Sprintf("must be no more than %d characters", MaxName)
	}
	return ""
}

// sortSteps sets the order, or returns a cycle that starts and ends with the same step.
func (g *Graph) sortSteps() (cycle []string) {
	const (
		onPath = 1
		done   = 2
	)
	mark := map[string]int{}
	var path []string
	var visit func(string) bool
	visit = func(name string) bool {
		path = append(path, name)
		mark[name] = onPath
		for _, need := range slices.Sorted(slices.Values(g.steps[name].Needs)) {
			switch mark[need] {
			case onPath:
				cycle = append(slices.Clone(path[slices.Index(path, need):]), need)
				return false
			case 0:
				if !visit(need) {
					return false
				}
			}
		}
		path = path[:len(path)-1]
		mark[name] = done
		g.order = append(g.order, name)
		return true
	}
	for _, name := range slices.Sorted(maps.Keys(g.steps)) {
		if mark[name] == 0 && !visit(name) {
			return cycle
		}
	}
	return nil
}

// Step returns the step with this name; the zero Step if there is none.
func (g Graph) Step(name string) Step { return g.steps[name] }

// HasStep reports whether there is a step with this name.
func (g Graph) HasStep(name string) bool {
	_, found := g.steps[name]
	return found
}

// SetSecretEnv sets one variable of a step's secret environment. It reports whether there is such a step.
func (g Graph) SetSecretEnv(step, name, value string) bool {
	s, found := g.steps[step]
	if !found {
		return false
	}
	if s.SecretEnv == nil {
		s.SecretEnv = map[string]string{}
	}
	s.SecretEnv[name] = value
	g.steps[step] = s
	return true
}

// WithImages returns the graph with other images of some steps.
func (g Graph) WithImages(images map[string]string) Graph {
	return g.withValues(images, func(step *Step, image string) { step.Image = image })
}

// WithConfigurations returns the graph with other digests of the configurations of some steps.
func (g Graph) WithConfigurations(digests map[string]string) Graph {
	return g.withValues(digests, func(step *Step, digest string) { step.Configuration = digest })
}

// withValues returns the graph with a value of some steps replaced.
func (g Graph) withValues(values map[string]string, set func(*Step, string)) Graph {
	steps := maps.Clone(g.steps)
	for name, value := range values {
		if step, found := steps[name]; found {
			set(&step, value)
			steps[name] = step
		}
	}
	g.steps = steps
	return g
}

// Steps returns the names of all steps in topological order.
func (g Graph) Steps() []string { return slices.Clone(g.order) }

// Condition returns the needs of a step, and after which outcomes of them it runs.
func (g Graph) Condition(name string) (needs []string, when When) {
	return g.steps[name].Needs, g.steps[name].When
}

// Parents returns the steps whose files a step starts with: its needs, and instead of a need without files the parents of that need.
func (g Graph) Parents(name string, nothing func(step string) bool) []string {
	parents := map[string]bool{}
	var add func(string)
	add = func(name string) {
		for _, need := range g.steps[name].Needs {
			if nothing(need) {
				add(need)
			} else {
				parents[need] = true
			}
		}
	}
	add(name)
	return slices.Sorted(maps.Keys(parents))
}

// Ancestry returns a step and all its direct and indirect ancestors, each with its parents.
func (g Graph) Ancestry(name string, nothing func(step string) bool) map[string][]string {
	ancestry := map[string][]string{}
	var visit func(string)
	visit = func(name string) {
		if _, seen := ancestry[name]; seen {
			return
		}
		ancestry[name] = g.Parents(name, nothing)
		for _, parent := range ancestry[name] {
			visit(parent)
		}
	}
	visit(name)
	return ancestry
}

// Leaves returns the steps with files that are no other step's parent: their merged trees are the files of the run. ancestry is that of all
// of them.
func (g Graph) Leaves(nothing func(step string) bool) (leaves []string, ancestry map[string][]string) {
	ancestry = map[string][]string{}
	inner := map[string]bool{}
	for _, name := range g.order {
		if nothing(name) {
			continue
		}
		ancestry[name] = g.Parents(name, nothing)
		for _, parent := range ancestry[name] {
			inner[parent] = true
		}
	}
	for _, name := range g.order {
		if !nothing(name) && !inner[name] {
			leaves = append(leaves, name)
		}
	}
	return leaves, ancestry
}

// ListOptional returns the steps that may have no files in a succeeded run: those whose failure is allowed, those that run after failures,
// and all that need one of these.
func (g Graph) ListOptional() map[string]bool {
	optional := map[string]bool{}
	for _, name := range g.order {
		step := g.steps[name]
		optional[name] = step.AllowFailure || step.When == OnFailure || step.When == OnSuccess && slices.ContainsFunc(step.Needs, func(need string) bool { return optional[need] })
	}
	return optional
}

// IsWrittenByEmptyStep reports whether a fan-out step without indexes might write a file at this path if it had some.
func (g Graph) IsWrittenByEmptyStep(path string) bool {
	return slices.ContainsFunc(g.All(), func(step Step) bool {
		return step.IsEmpty && (len(step.Writes) == 0 || slices.ContainsFunc(step.Writes, func(pattern string) bool { return files.MayMeet(pattern, path) }))
	})
}

// All returns the steps, in the same order as [Graph.Steps].
func (g Graph) All() []Step {
	all := make([]Step, 0, len(g.order))
	for _, name := range g.order {
		all = append(all, g.steps[name])
	}
	return all
}

// AgentSpec returns what the description of a step for the agent contains in each attempt.
func (g Graph) AgentSpec(step Step) agent.Step {
	const reserve = 5 * time.Second // for the agent's own end, see its stopTimeout
	grace := step.TerminationGracePeriod
	return agent.Step{
		Name: step.Name, Configuration: step.Configuration, Reads: step.Reads, Writes: step.Writes, Brane: step.BraneVersion(), Indexed: step.IsIndexed(),
		Items: files.DigestItems(step.Items), Stop: int((grace - min(reserve, grace/2)).Seconds()),
	}
}
