package workflow_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// TestUpdate_ListRuns changes one thing of a run that has succeeded:
//
//	a ── b ── d
//	 └── c
func TestUpdate_ListRuns(t *testing.T) {
	type update = workflow.Update
	edit := func(name string, change func(*workflow.Step)) func(*update) {
		return func(u *update) { u.Graph = editStep(t, u.Graph, name, change) }
	}
	result := func(name string, status workflow.StepStatus) func(*update) {
		return func(u *update) {
			was := u.Results[name]
			was.Status = status
			u.Results[name] = was
		}
	}
	before := func(name string, change func(*workflow.Step)) func(*update) { // it had been like that already
		return func(u *update) {
			u.Graph, u.Earlier = editStep(t, u.Graph, name, change), editStep(t, u.Earlier, name, change)
			was := u.Results[name]
			was.Fingerprint = u.Earlier.Step(name).Fingerprint(files.ShortDigest(nil))
			u.Results[name] = was
		}
	}
	executes := func(u *update) { u.Executes = true }
	inputs := func(names ...string) func(*update) { return func(u *update) { u.Inputs = names } }
	gone := func(names ...string) func(*update) { return func(u *update) { u.Gone = set(names...) } }
	uncached := func(names ...string) func(*update) { return func(u *update) { u.Uncached = set(names...) } }
	command := func(s *workflow.Step) { s.Command = []string{"other"} }
	reads := func(patterns ...string) func(*workflow.Step) {
		return func(s *workflow.Step) { s.Reads = patterns }
	}
	when := func(w workflow.When) func(*workflow.Step) { return func(s *workflow.Step) { s.When = w } }
	allow := func(s *workflow.Step) { s.AllowFailure = true }
	unfinished := func(u *update) {
		executes(u)
		result("b", workflow.Failed)(u)
		result("c", workflow.Stopped)(u)
		result("d", workflow.Skipped)(u)
	}
	allowed := func(u *update) { // b has failed, so d was skipped
		before("b", allow)(u)
		result("b", workflow.Failed)(u)
		result("d", workflow.Skipped)(u)
	}
	handler := func(u *update) { // d is for failures, and there was none
		before("d", when(workflow.OnFailure))(u)
		result("d", workflow.Skipped)(u)
	}
	for name, tt := range map[string]struct {
		edits []func(*update)
		want  string
	}{
		"nothing":               {nil, ""},
		"the command of a leaf": {[]func(*update){edit("d", command)}, "d: its configuration has changed"},
		"the command of the first step": {[]func(*update){edit("a", command)},
			"a: its configuration has changed, b: step \"a\" may run, c: step \"a\" may run, d: step \"b\" may run"},
		"a command in the middle": {[]func(*update){edit("b", command)}, "b: its configuration has changed, d: step \"b\" may run"},
		"what decides nothing": {[]func(*update){edit("a", func(s *workflow.Step) {
			s.Retries, s.Timeout, s.Metadata.Labels = 3, time.Hour, map[string]string{"a": "b"}
		})}, ""},
		"a step is added":                     {[]func(*update){addStep(t, "b")}, "e: it is new"},
		"a step is added in between":          {[]func(*update){addStep(t, "a"), edit("c", func(s *workflow.Step) { s.Needs = []string{"e"} })}, "c: step \"e\" may run, e: it is new"},
		"a leaf is removed":                   {[]func(*update){removeStep(t, "d")}, ""},
		"a step in the middle is removed":     {[]func(*update){edit("d", func(s *workflow.Step) { s.Needs = []string{"a"} }), removeStep(t, "b")}, "d: it needs other steps"},
		"a need is added":                     {[]func(*update){edit("d", func(s *workflow.Step) { s.Needs = []string{"c", "b"} })}, "d: it needs other steps"},
		"the order of needs":                  {[]func(*update){before("d", func(s *workflow.Step) { s.Needs = []string{"b", "c"} }), edit("d", func(s *workflow.Step) { s.Needs = []string{"c", "b"} })}, ""},
		"an input that all may see":           {[]func(*update){inputs("x/in")}, "a: input \"x/in\" has changed, b: step \"a\" may run, c: step \"a\" may run, d: step \"b\" may run"},
		"an input that no step reads":         {[]func(*update){inputs("x/in"), before("a", reads("y")), before("b", reads("y")), before("c", reads("y")), before("d", reads("y/**"))}, ""},
		"an input that only c reads":          {[]func(*update){inputs("x/in"), before("a", reads("y")), before("b", reads("y")), before("c", reads("x")), before("d", reads("y"))}, "c: input \"x/in\" has changed"},
		"an input that is a directory":        {[]func(*update){inputs("x"), before("a", reads("y")), before("b", reads("x/in/*")), before("c", reads("y")), before("d", reads("y"))}, "b: input \"x\" has changed, d: step \"b\" may run"},
		"an item more":                        {[]func(*update){before("b", func(s *workflow.Step) { s.Completions, s.Items = 1, []string{"x"} }), edit("b", func(s *workflow.Step) { s.Completions, s.Items = 2, []string{"x", "y"} })}, "b: its configuration has changed, d: step \"b\" may run"},
		"a step with unknown values":          {[]func(*update){func(u *update) { u.Unknown = set("b") }}, "b: it has values that are not known yet, d: step \"b\" may run"},
		"not cached":                          {[]func(*update){uncached("c")}, ""},
		"not cached, and another step":        {[]func(*update){uncached("b"), edit("c", command)}, "b: it is not cached, c: its configuration has changed, d: step \"b\" may run"},
		"not cached, and changed":             {[]func(*update){uncached("c"), edit("c", command)}, "c: its configuration has changed"},
		"not cached, with another execution":  {[]func(*update){uncached("c"), result("c", workflow.Succeeded), fingerprint("c", "0")}, ""},
		"not cached, and the run is executed": {[]func(*update){uncached("c"), executes}, "c: it is not cached"},
		"not cached, but skipped":             {[]func(*update){handler, uncached("d"), executes}, ""},
		"an older version's result":           {[]func(*update){fingerprint("d", "")}, "d: its configuration has changed"},

		"files that nothing needs":           {[]func(*update){gone("a", "b", "c", "d")}, ""},
		"files of a need":                    {[]func(*update){gone("b"), edit("d", command)}, "b: its files are gone, d: its configuration has changed"},
		"files of a need of a need":          {[]func(*update){gone("a"), edit("d", command)}, "a: its files are gone, b: step \"a\" may run, c: step \"a\" may run, d: its configuration has changed"},
		"files of both":                      {[]func(*update){gone("a", "b"), edit("d", command)}, "a: its files are gone, b: its files are gone, c: step \"a\" may run, d: its configuration has changed"},
		"files of a leaf, for the outputs":   {[]func(*update){gone("c"), func(u *update) { u.ReadsOutputs = true }}, "c: its files are gone"},
		"files of inner steps":               {[]func(*update){gone("a", "b"), func(u *update) { u.ReadsOutputs = true }}, ""},
		"files of another leaf":              {[]func(*update){gone("c"), edit("d", command)}, "c: its files are gone, d: its configuration has changed"},
		"files of a leaf of an executed run": {[]func(*update){gone("c"), executes}, "c: its files are gone"},
		"files of a leaf without changes":    {[]func(*update){gone("c")}, ""},
		"all files, for the outputs": {[]func(*update){gone("a", "b", "c", "d"), func(u *update) { u.ReadsOutputs = true }},
			"a: its files are gone, b: its files are gone, c: its files are gone, d: its files are gone"},

		"a failed run":               {[]func(*update){unfinished}, "b: it has failed, c: it has not ended, d: step \"b\" may run"},
		"a failed run, fixed":        {[]func(*update){unfinished, edit("b", command)}, "b: it has failed, c: it has not ended, d: step \"b\" may run"},
		"a failed run, all changed":  {[]func(*update){unfinished, edit("a", command)}, "a: its configuration has changed, b: step \"a\" may run, c: step \"a\" may run, d: step \"b\" may run"},
		"steps without a result":     {[]func(*update){executes, result("b", ""), result("d", "")}, "b: it has not ended, d: step \"b\" may run"},
		"a run whose outputs failed": {[]func(*update){executes}, ""},
		"a step that was not started although its needs have succeeded": {[]func(*update){executes, result("d", workflow.Skipped)}, "d: it has not run yet"},

		"an allowed failure":                       {[]func(*update){allowed}, ""},
		"an allowed failure, executed":             {[]func(*update){allowed, executes}, ""},
		"an allowed failure, with another command": {[]func(*update){allowed, edit("b", command)}, "b: its configuration has changed, d: step \"b\" may run"},
		"a failure that is not allowed any more":   {[]func(*update){allowed, edit("b", func(s *workflow.Step) { s.AllowFailure = false })}, "b: it has failed, d: step \"b\" may run"},
		"a failure that is allowed now":            {[]func(*update){unfinished, edit("b", allow)}, "b: it has failed, c: it has not ended, d: step \"b\" may run"},
		"a success whose failure is allowed now":   {[]func(*update){edit("b", allow)}, ""},
		"another command of a skipped step":        {[]func(*update){allowed, edit("d", command)}, ""},
		"a skipped step that runs in any case":     {[]func(*update){allowed, edit("d", when(workflow.Always))}, "d: it has not run yet"},
		"files that a failed step starts with":     {[]func(*update){allowed, gone("a"), edit("d", when(workflow.Always))}, "a: its files are gone, b: step \"a\" may run, c: step \"a\" may run, d: it has not run yet"},
		"files of the parent of a failed step":     {[]func(*update){allowed, gone("c"), func(u *update) { u.ReadsOutputs = true }}, "c: its files are gone"},

		"an allowed failure that is gone":                   {[]func(*update){allowed, gone("b")}, ""},
		"an allowed failure that is gone, for the outputs":  {[]func(*update){allowed, gone("b"), func(u *update) { u.ReadsOutputs = true }}, ""},
		"an allowed failure that is gone, executed":         {[]func(*update){allowed, gone("b"), edit("c", command)}, "b: its failure is not stored any more, or it was committed after all, c: its configuration has changed, d: step \"b\" may run"},
		"an allowed failure that is gone, and nothing else": {[]func(*update){allowed, gone("b"), executes}, "b: its failure is not stored any more, or it was committed after all, d: step \"b\" may run"},

		"a handler of failures":                    {[]func(*update){handler}, ""},
		"a handler, executed":                      {[]func(*update){handler, edit("c", command)}, "c: its configuration has changed"},
		"a handler of a step that may fail":        {[]func(*update){handler, edit("b", command)}, "b: its configuration has changed, d: step \"b\" may run"},
		"a handler that runs in any case":          {[]func(*update){handler, edit("d", when(workflow.Always))}, "d: it has not run yet"},
		"a handler becomes an ordinary step":       {[]func(*update){handler, edit("d", when(workflow.OnSuccess))}, "d: it has not run yet"},
		"an ordinary step becomes a handler":       {[]func(*update){edit("d", when(workflow.OnFailure))}, "d: its condition is not met any more"},
		"an ordinary step runs in any case":        {[]func(*update){edit("d", when(workflow.Always))}, ""},
		"a handler of a handler":                   {[]func(*update){handler, addStep(t, "d"), skipped(t, "e", workflow.OnFailure)}, ""},
		"a step after a skipped one":               {[]func(*update){handler, addStep(t, "d"), skipped(t, "e", workflow.OnSuccess)}, ""},
		"a handler of a step that was not started": {[]func(*update){allowed, addStep(t, "d"), skipped(t, "e", workflow.OnFailure)}, "e: it has not run yet"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpdate(t)
			for _, edit := range tt.edits {
				edit(&u)
			}
			runs := u.ListRuns()
			var got []string
			for _, name := range slices.Sorted(maps.Keys(runs)) {
				got = append(got, name+": "+runs[name])
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("steps may run: %s\nwant %s", got, tt.want)
			}
		})
	}
}

// newUpdate returns an update of a run that has succeeded, without changes.
func newUpdate(t *testing.T) workflow.Update {
	t.Helper()
	graph := newGraph(t,
		workflow.Step{Name: "a"}, workflow.Step{Name: "b", Needs: []string{"a"}}, workflow.Step{Name: "c", Needs: []string{"a"}}, workflow.Step{Name: "d", Needs: []string{"b"}},
	)
	u := workflow.Update{Graph: graph, Earlier: graph, Results: map[string]workflow.StepResult{}}
	for _, step := range graph.All() {
		u.Results[step.Name] = workflow.StepResult{Status: workflow.Succeeded, Fingerprint: step.Fingerprint(files.ShortDigest(nil))}
	}
	return u
}

func newGraph(t *testing.T, steps ...workflow.Step) workflow.Graph {
	t.Helper()
	for i := range steps {
		steps[i].Image = "tools"
		if len(steps[i].Command) == 0 {
			steps[i].Command = []string{"true"}
		}
	}
	graph, err := workflow.NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	return graph
}

// editStep returns a graph in which one step has changed.
func editStep(t *testing.T, graph workflow.Graph, name string, change func(*workflow.Step)) workflow.Graph {
	t.Helper()
	steps := graph.All()
	for i := range steps {
		if steps[i].Name == name {
			change(&steps[i])
			steps[i].Configuration = ""
		}
	}
	return newGraph(t, steps...)
}

// addStep adds the step e.
func addStep(t *testing.T, needs ...string) func(*workflow.Update) {
	return func(u *workflow.Update) {
		u.Graph = newGraph(t, append(u.Graph.All(), workflow.Step{Name: "e", Needs: needs})...)
	}
}

// skipped lets a step have been skipped before.
func skipped(t *testing.T, name string, when workflow.When) func(*workflow.Update) {
	return func(u *workflow.Update) {
		u.Graph = editStep(t, u.Graph, name, func(s *workflow.Step) { s.When = when })
		u.Results[name] = workflow.StepResult{Status: workflow.Skipped}
	}
}

func removeStep(t *testing.T, name string) func(*workflow.Update) {
	return func(u *workflow.Update) {
		u.Graph = newGraph(t, slices.DeleteFunc(u.Graph.All(), func(s workflow.Step) bool { return s.Name == name })...)
	}
}

// fingerprint sets the first part of the fingerprint of a result.
func fingerprint(name, configuration string) func(*workflow.Update) {
	return func(u *workflow.Update) {
		was := u.Results[name]
		was.Fingerprint = files.NewFingerprint(configuration, "")
		u.Results[name] = was
	}
}

func set(names ...string) map[string]bool {
	found := map[string]bool{}
	for _, name := range names {
		found[name] = true
	}
	return found
}
