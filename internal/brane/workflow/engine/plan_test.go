package engine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// An execution runs the steps whose results are gone, and no others than the plan shows.
func TestPlanOfGoneResults(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for name, tt := range map[string]struct {
		gone string // a part of the keys
		want string // the steps that run
	}{
		"nothing":                   {"none", "s3"},
		"the commit of a need":      {":step:s1:", "s1 s3"},
		"the commit of its need":    {":step:s0:", "s0 s3"},
		"the files of its need":     {":c:", "s0 s1 s3 s4"},
		"the commit of a leaf":      {":step:s4:", "s3 s4"},
		"a failure that is allowed": {":failed:s2:", "s2 s3"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &incrementalCase{
				t: t, client: client, cluster: newFakeClient(t, answerEmpty), random: rand.New(rand.NewPCG(0, 0)), run: files.ShortDigest([]byte(name)), inputs: map[string]string{"in": "0"},
				steps: []workflow.Step{
					{Name: "s0", Image: "image", Command: []string{"0"}}, {Name: "s1", Image: "image", Command: []string{"0"}, Needs: []string{"s0"}},
					{Name: "s2", Image: "image", Command: []string{"7"}, AllowFailure: true}, {Name: "s3", Image: "image", Command: []string{"0"}, Needs: []string{"s1"}},
					{Name: "s4", Image: "image", Command: []string{"0"}},
				},
			}
			l, problem := c.execute(c.run, -1)
			if problem != "" || l.state.phaseOf("s2") != failed {
				t.Fatalf("s2 is in phase %d: %s", l.state.phaseOf("s2"), problem)
			}
			result := l.buildResult(t.Context())
			for _, key := range client.Keys(t.Context(), "brane:"+c.run+":*").Val() {
				if strings.Contains(key, tt.gone) {
					client.Del(t.Context(), key)
				}
			}
			names, _, err := l.results.FindGone(t.Context(), result.Steps)
			if err != nil {
				t.Fatal(err)
			}
			gone := map[string]bool{}
			for _, name := range names {
				gone[name] = true
			}
			c.steps[3].Command = []string{"1"}
			graph, err := workflow.NewGraph(c.steps)
			if err != nil {
				t.Fatal(err)
			}
			plan := workflow.Update{Graph: graph, Earlier: l.spec.Graph, Results: result.Steps, Gone: gone}.ListRuns()
			c.history = nil
			if _, problem := c.execute(c.run, -1); problem != "" {
				t.Fatal(problem)
			}
			var ran []string
			for _, line := range c.history {
				if step, isRun := strings.CutPrefix(line, "  runs "); isRun {
					step, _, _ = strings.Cut(step, ":")
					ran = append(ran, step)
					if plan[step] == "" {
						t.Errorf("step %s runs, and the plan shows %v", step, plan)
					}
				}
			}
			slices.Sort(ran)
			if got := strings.Join(ran, " "); got != tt.want {
				t.Errorf("the steps %s run, want %s", got, tt.want)
			}
		})
	}
}
