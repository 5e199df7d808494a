package workflow

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestNext(t *testing.T) {
	g := graph(t, "a", "b: a", "c: a", "d: b c")
	for name, tt := range map[string]struct {
		known map[string]phase
		want  string
	}{
		"at the beginning the first":          {nil, "[a]"},
		"nothing while it runs":               {map[string]phase{"a": started}, "[]"},
		"both that waited for it":             {map[string]phase{"a": committed}, "[b c]"},
		"not one that is running already":     {map[string]phase{"a": committed, "b": started}, "[c]"},
		"the last one needs both":             {map[string]phase{"a": committed, "b": committed, "c": started}, "[]"},
		"the last one when both are":          {map[string]phase{"a": committed, "b": committed, "c": committed}, "[d]"},
		"nothing new after a failure":         {map[string]phase{"a": committed, "b": failed}, "[]"},
		"nothing when all are":                {map[string]phase{"a": committed, "b": committed, "c": committed, "d": committed}, "[]"},
		"a commit is worth more than its own": {map[string]phase{"b": committed, "c": committed}, "[a d]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(next(g, tt.known)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Random graphs with random orders of commits, some of them failing: every run ends, no step is started twice or before what it needs,
// and without a failure all are committed.
func TestEveryRunEnds(t *testing.T) {
	for seed := range uint64(20_000) {
		random := rand.New(rand.NewPCG(seed, 1))
		g := randomGraph(t, random)
		known, running, starts, broken := map[string]phase{}, []string{}, map[string]int{}, false
		for !ended(g, known) {
			for _, name := range next(g, known) {
				for _, need := range g.steps[name].Needs {
					if known[need] != committed {
						t.Fatalf("seed %d: %s started before %s was committed", seed, name, need)
					}
				}
				known[name] = started
				starts[name]++
				running = append(running, name)
			}
			if len(running) == 0 {
				t.Fatalf("seed %d: nothing runs and the run has not ended: %v", seed, known)
			}
			i := random.IntN(len(running))
			known[running[i]] = committed
			if random.IntN(20) == 0 {
				known[running[i]], broken = failed, true
			}
			running = append(running[:i], running[i+1:]...)
		}
		for name, n := range starts {
			if n != 1 {
				t.Fatalf("seed %d: %s was started %d times", seed, name, n)
			}
		}
		if !broken && !all(g.order, known, committed) {
			t.Fatalf("seed %d: ended with %v", seed, known)
		}
	}
}

func randomGraph(t *testing.T, random *rand.Rand) Graph {
	t.Helper()
	var steps []Step
	for i := range 1 + random.IntN(12) {
		step := Step{Name: fmt.Sprintf("s%d", i)}
		for j := range i {
			if random.IntN(3) == 0 {
				step.Needs = append(step.Needs, fmt.Sprintf("s%d", j))
			}
		}
		steps = append(steps, step)
	}
	random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	g, err := NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
