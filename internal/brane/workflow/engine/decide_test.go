package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// conditional returns a graph with steps that run after failures:
//
//	a → b → c
//	 ╲   ╲→ rescue (failure)
//	  ╲→ tidy (always)
//	try (may fail) → use, other (failure).
func conditional(t *testing.T) workflow.Graph {
	t.Helper()
	all := workflowtest.Steps("a", "b: a", "c: b", "rescue: b", "tidy: a", "try", "use: try", "other: try")
	all[3].When, all[4].When, all[5].AllowFailure, all[7].When = workflow.OnFailure, workflow.Always, true, workflow.OnFailure
	g, err := workflow.NewGraph(all)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// phasesOf returns a function that returns the phases in a map.
func phasesOf(phases map[string]phase) func(string) phase {
	return func(step string) phase { return phases[step] }
}

func TestListReady(t *testing.T) {
	type phases = map[string]phase
	diamond, handled := workflowtest.Graph(t, "a", "b: a", "c: a", "d: b c"), conditional(t)
	steps := workflowtest.Steps("a", "b", "c: a b", "report: c")
	steps[3].When = workflow.Always
	reported, err := workflow.NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		graph    workflow.Graph
		parallel int
		known    phases
		want     string
		ended    bool
	}{
		"at the beginning the first":           {diamond, 0, nil, "[a]", false},
		"nothing while it runs":                {diamond, 0, phases{"a": running}, "[]", false},
		"both that waited for it":              {diamond, 0, phases{"a": committed}, "[b c]", false},
		"not one that is running already":      {diamond, 0, phases{"a": committed, "b": running}, "[c]", false},
		"the last one needs both":              {diamond, 0, phases{"a": committed, "b": committed, "c": running}, "[]", false},
		"the last one when both are":           {diamond, 0, phases{"a": committed, "b": committed, "c": committed}, "[d]", false},
		"nothing new after a failure":          {diamond, 0, phases{"a": committed, "b": failed}, "[]", true},
		"nothing when all are":                 {diamond, 0, phases{"a": committed, "b": committed, "c": committed, "d": committed}, "[]", true},
		"a commit is worth more than its own":  {diamond, 0, phases{"b": committed, "c": committed}, "[a d]", false},
		"one at a time":                        {diamond, 1, phases{"a": committed}, "[b]", false},
		"none beside the one that runs":        {diamond, 1, phases{"a": committed, "b": running}, "[]", false},
		"the next one at a time":               {diamond, 1, phases{"a": committed, "b": committed}, "[c]", false},
		"more running than allowed by now":     {diamond, 1, phases{"a": committed, "b": running, "c": running}, "[]", false},
		"steps for failures wait":              {handled, 0, nil, "[a try]", false},
		"one that always runs":                 {handled, 0, phases{"a": committed, "try": committed}, "[b tidy use]", false},
		"all is well":                          {handled, 0, phases{"a": committed, "b": committed, "c": committed, "tidy": committed, "try": committed, "use": committed}, "[]", true},
		"a rescue after the failure":           {handled, 0, phases{"a": committed, "b": failed, "tidy": running, "try": committed, "use": committed}, "[rescue]", false},
		"what always runs, after the failure":  {handled, 0, phases{"a": failed, "try": committed, "use": running}, "[rescue tidy]", false},
		"over though something else runs":      {handled, 0, phases{"a": failed, "rescue": committed, "tidy": committed, "try": committed, "use": running}, "[]", true},
		"a rescue that fails as well":          {handled, 0, phases{"a": failed, "rescue": failed, "tidy": running, "try": committed, "use": running}, "[]", false},
		"an allowed failure stops nothing":     {handled, 0, phases{"try": failed}, "[a other]", false},
		"a run with an allowed failure ends":   {handled, 0, phases{"a": committed, "b": committed, "c": committed, "tidy": committed, "try": failed, "other": committed}, "[]", true},
		"no report while a step runs":          {reported, 0, phases{"a": failed, "b": running}, "[]", false},
		"a report of all that have run":        {reported, 0, phases{"a": failed, "b": committed}, "[report]", false},
		"handlers are bounded like all others": {handled, 1, phases{"a": failed, "try": committed, "use": committed}, "[rescue]", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(decideFates(tt.graph, phasesOf(tt.known)).listReady(tt.parallel)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := decideFates(tt.graph, phasesOf(tt.known)).hasEnded; got != tt.ended {
				t.Errorf("ended: %v", got)
			}
		})
	}
}

// Random graphs with random orders of commits and failures: every run ends, no step starts twice or before the steps have ended whose files it gets, the limit
// of parallel Jobs holds, without a failure all steps are committed that do not run after failures only, and after a failure all steps have
// run that always run.
func TestEveryRunEnds(t *testing.T) {
	for seed := range uint64(20_000) {
		random := rand.New(rand.NewPCG(seed, 1))
		g, parallel := randomGraph(t, random), random.IntN(4)
		known, live, starts, hasFailed := map[string]phase{}, []string{}, map[string]int{}, false
		for !decideFates(g, phasesOf(known)).hasEnded {
			for _, name := range decideFates(g, phasesOf(known)).listReady(parallel) {
				for _, need := range g.Step(name).Needs {
					if g.Step(name).When == workflow.OnSuccess && known[need] != committed || known[need] == running {
						t.Fatalf("seed %d: %s started before %s was committed", seed, name, need)
					}
				}
				for _, parent := range g.Parents(name, decideFates(g, phasesOf(known)).hasNoFiles) {
					if known[parent] != committed {
						t.Fatalf("seed %d: %s started before the files of %s were known", seed, name, parent)
					}
				}
				known[name] = running
				starts[name]++
				live = append(live, name)
			}
			if len(live) == 0 || parallel > 0 && len(live) > parallel {
				t.Fatalf("seed %d: %d run, at most %d may, and the run has not ended: %v", seed, len(live), parallel, known)
			}
			i := random.IntN(len(live))
			known[live[i]] = committed
			if random.IntN(20) == 0 {
				known[live[i]], hasFailed = failed, true
			}
			live = append(live[:i], live[i+1:]...)
		}
		for _, name := range g.Steps() {
			switch step := g.Step(name); {
			case starts[name] > 1:
				t.Fatalf("seed %d: %s was started %d times", seed, name, starts[name])
			case step.When == workflow.Always && starts[name] == 0:
				t.Fatalf("seed %d: %s always runs, but did not", seed, name)
			case !hasFailed && step.When == workflow.OnFailure && starts[name] > 0:
				t.Fatalf("seed %d: %s ran without a failure", seed, name)
			case !hasFailed && step.When == workflow.OnSuccess && known[name] != committed && !buildsOnHandler(g, name):
				t.Fatalf("seed %d: ended with %v", seed, known)
			}
		}
	}
}

// buildsOnHandler reports whether a step needs one that runs after failures, and so does not run without a failure.
func buildsOnHandler(g workflow.Graph, name string) bool {
	for _, need := range g.Step(name).Needs {
		if g.Step(need).When == workflow.OnFailure || g.Step(need).When == workflow.OnSuccess && buildsOnHandler(g, need) {
			return true
		}
	}
	return false
}

func randomGraph(t *testing.T, random *rand.Rand) workflow.Graph {
	t.Helper()
	var steps []workflow.Step
	for i := range 1 + random.IntN(12) {
		step := workflow.Step{Name: fmt.Sprintf("s%d", i), AllowFailure: random.IntN(8) == 0}
		for j := range i {
			if random.IntN(3) == 0 {
				step.Needs = append(step.Needs, fmt.Sprintf("s%d", j))
			}
		}
		if when := random.IntN(8); len(step.Needs) > 0 && when < 2 {
			step.When = []workflow.When{workflow.OnFailure, workflow.Always}[when]
		}
		steps = append(steps, step)
	}
	random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	g, err := workflow.NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
