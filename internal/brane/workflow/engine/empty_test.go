package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// TestListReadyEmpty checks that fan-out steps without indexes start at the same point of the graph as other steps, and take no slot.
func TestListReadyEmpty(t *testing.T) {
	t.Parallel()
	graph := workflowtest.GraphOf(t,
		workflow.Step{Name: "first"}, workflow.Step{Name: "second"}, workflow.Step{Name: "none", IsEmpty: true},
		workflow.Step{Name: "after", IsEmpty: true, Needs: []string{"first"}},
		workflow.Step{Name: "rescue", IsEmpty: true, Needs: []string{"first"}, When: workflow.OnFailure},
	)
	for name, tt := range map[string]struct {
		phases      map[string]phase
		empty, jobs []string
	}{
		"at the beginning":    {nil, []string{"none"}, []string{"first"}},
		"while a step runs":   {map[string]phase{"first": running}, []string{"none"}, nil},
		"after its need":      {map[string]phase{"first": committed, "none": committed}, []string{"after"}, []string{"second"}},
		"after a failed need": {map[string]phase{"first": failed, "none": committed}, []string{"rescue"}, nil},
	} {
		phaseOf := func(step string) phase { return tt.phases[step] }
		if got := decideFates(graph, phaseOf).empty; !slices.Equal(got, tt.empty) {
			t.Errorf("%s: %q are completed, not %q", name, got, tt.empty)
		}
		if got := decideFates(graph, phaseOf).listReady(1); !slices.Equal(got, tt.jobs) {
			t.Errorf("%s: %q get Jobs, not %q", name, got, tt.jobs)
		}
	}
}

// TestEmptyStepsComplete checks that fan-out steps without indexes are committed without a Job: they pass on the files of their needs, or the
// inputs of the run. Needs whose files conflict are a failure of the step.
func TestEmptyStepsComplete(t *testing.T) {
	t.Parallel()
	steps := []workflow.Step{
		{Name: "one"}, {Name: "other"}, {Name: "rival"}, {Name: "alone", IsEmpty: true}, {Name: "both", IsEmpty: true, Needs: []string{"one", "other"}},
		{Name: "next", IsEmpty: true, Needs: []string{"both"}}, {Name: "torn", IsEmpty: true, AllowFailure: true, Needs: []string{"one", "rival"}},
	}
	l, _, events := openLoop(t, steps...)
	store := l.results.Files()
	l.spec.Inputs = map[string]files.Source{"in": {Content: []byte("x")}}
	if err := storeInputs(t.Context(), store, l.spec); err != nil {
		t.Fatal(err)
	}
	l = newLoop(l.Execution) // nothing has started
	for _, by := range [][3]string{{"one", "file", "x"}, {"other", "another", "x"}, {"rival", "file", "y"}} {
		start, err := l.reuser.findStart(t.Context(), by[0], nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		commitFile(t, store, start, by[0], by[1], by[2])
	}
	if err := l.runSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]string{"alone": "[in]", "both": "[another file]", "next": "[another file]"} {
		tree, err := store.Tree(t.Context(), l.commits[step].Layer)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for entry := range tree.All() {
			paths = append(paths, entry.Path)
		}
		if got := fmt.Sprint(paths); got != want {
			t.Errorf("step %s has %s, not %s", step, got, want)
		}
	}
	for _, event := range *events {
		if strings.Contains(event, string(workflow.StepStarted)) {
			t.Errorf("a Job was created: %s", event)
		}
	}
	result := l.buildResult(t.Context())
	if done := result.Steps["next"]; done.Status != workflow.Succeeded || done.Attempts != 0 || !done.Started.IsZero() {
		t.Errorf("the result of a step without a container is %+v", done)
	}
	const want = `merge the files of the needed steps: steps "one" and "rival" wrote different content to "file".

Add one of the steps to needs of the other, or write to different paths.`
	if len(result.Allowed) != 1 || result.Allowed[0].Detail() != want {
		t.Errorf("the failures are %v", result.Allowed)
	}
	// The next execution finds the commits.
	again := newLoop(l.Execution)
	if err := again.runSteps(t.Context()); err != nil || len(again.commits) != len(l.commits) {
		t.Errorf("resumed, %d steps are committed, %v", len(again.commits), err)
	}
}
