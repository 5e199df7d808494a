package engine_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// execute executes a run and returns which of its steps ran, sorted: all others were reused.
func execute(t *testing.T, run *runtest.Run) []string {
	t.Helper()
	ended := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
	ended.CheckSucceeded(t)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(ended.Result.Steps)), func(step string) bool { return ended.Result.Steps[step].Reused })
}

// checkRan executes a run and checks which of its steps run.
func checkRan(t *testing.T, run *runtest.Run, want ...string) {
	t.Helper()
	if got := execute(t, run); !slices.Equal(got, want) {
		t.Errorf("%q ran, want %q", got, want)
	}
}

// Only the steps run whose fingerprints have no commit: an edited step, and those that see other files because of that.
func TestEditedStepsRunAlone(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	edited := func(first, last string) []workflow.Step {
		return []workflow.Step{
			l.Step("first", first+" > /data/first"), l.Step("middle", "cat /data/first > /data/middle", "first"), l.Step("last", last, "middle"), l.Step("other", "true"),
		}
	}
	run := l.NewRun(edited("echo 1", "echo 1")...)
	checkRan(t, run, "first", "last", "middle", "other")
	checkRan(t, run)
	run = l.Change(run, edited("echo 1", "echo 2")...)
	checkRan(t, run, "last")
	run = l.Change(run, edited("printf '1\\n'", "echo 2")...) // the files are the same
	checkRan(t, run, "first")
	run = l.Change(run, edited("echo 2", "echo 2")...)
	checkRan(t, run, "first", "last", "middle")
	run = l.Change(run, edited("echo 1", "echo 1")...) // as in the beginning
	checkRan(t, run)
}

// A fan-out step runs only the indexes that are new. The commands, the messages and the files know them by the indexes of the step.
func TestNewIndexesRunAlone(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	fan := func(items ...string) workflow.Step {
		step := l.Script("fan", `test $JOB_COMPLETION_INDEX = $BRANE_INDEX; test $BRANE_ITEM != bad; echo $BRANE_INDEX $BRANE_ITEM > /data/$BRANE_INDEX; wget -q -O - `+l.Counter.URL+"/ran/$BRANE_INDEX-$BRANE_ITEM")
		step.Items, step.Completions = items, len(items)
		return step
	}
	check := l.Step("check", `cat /data/* > /data/all; test "$(cat /data/all)" = "`+"0 a\n1 b\n2 c"+`"`, "fan")
	run := l.NewRun(fan("a", "x", "c"), l.Step("check", "true", "fan"))
	checkRan(t, run, "check", "fan")
	run = l.Change(run, fan("a", "bad", "c"), check)
	ended := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
	if len(ended.Result.Failures) != 1 || ended.Result.Failures[0].Index != "1" {
		t.Errorf("%v, %+v", ended.Err, ended.Result.Failures)
	}
	run = l.Change(run, fan("a", "b", "c"), check)
	checkRan(t, run, "check", "fan")
	for name, want := range map[string]int{"0-a": 1, "1-x": 1, "2-c": 1, "1-b": 1, "1-bad": 0} {
		if got := l.Counter.Count(name); got != want {
			t.Errorf("%s ran %d times, want %d", name, got, want)
		}
	}
	if jobs := l.ListJobs(run); !slices.Contains(jobs, "fan 3") {
		t.Errorf("the Jobs are %q", jobs)
	}
}

// The Job of a step that was edited while it ran is stopped before the step starts again; that of any other step continues.
func TestEditWhileRunning(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	steps := func(edited string) []workflow.Step {
		return []workflow.Step{l.Step("edited", edited), l.Step("same", l.Wait())}
	}
	run := l.NewRun(steps(l.Wait())...)
	started := [2]<-chan workflow.Event{runtest.Heard(run, workflow.StepStarted, "edited"), runtest.Heard(run, workflow.StepStarted, "same")}
	run.Options.Detach = true
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	first := runtest.Execute(ctx, run)
	for _, event := range started {
		testenv.Receive(t, "the steps", event)
	}
	l.AwaitCount("edited", 1)
	l.AwaitCount("same", 1)
	interrupt()
	testenv.Receive(t, "the first execution", first)

	run = l.Change(run, steps("true")...)
	withdrawn, adopted := runtest.Heard(run, workflow.StepWithdrawn, "edited"), runtest.Heard(run, workflow.StepAdopted, "same")
	second := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the end of the old Job", withdrawn)
	testenv.Receive(t, "the other Job", adopted)
	l.Counter.Release()
	testenv.Receive(t, "the second execution", second).CheckSucceeded(t)
	if edited, same := l.Counter.Count("edited"), l.Counter.Count("same"); edited != 2 || same != 1 {
		t.Errorf("the edited step ran %d times, the other %d times", edited, same)
	}
}

// A step whose files are gone runs again, and only those that see other files because of that.
func TestLostFilesRunAgain(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	run := l.NewRun(l.Step("first", "echo 1 > /data/first"), l.Step("last", "echo 2 > /data/last", "first"))
	checkRan(t, run, "first", "last")
	result, err := run.Clients.Results.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Redis.Del(t.Context(), strings.Join([]string{"brane", run.Spec.ID, "c", string(result.Steps["first"].Layer)}, ":")).Err(); err != nil {
		t.Fatal(err)
	}
	checkRan(t, run, "first") // it stores the same files again
	checkRan(t, run)
}
