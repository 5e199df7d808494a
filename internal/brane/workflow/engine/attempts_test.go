package engine_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The next process knows what a killed process has seen: how often each command was started, and the allowed failures.
//
//	flaky (fails once) ───────────────────╲    fan (of two, one fails once)
//	risky (may fail, does) → rescue (failure) → slow → bad (fails)
func TestAttemptsAndAllowedFailures(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	flaky, risky, rescue := l.Script("flaky", l.FailFirst("flaky")), l.Step("risky", "exit 3"), l.Step("rescue", "true", "risky")
	fan := l.Script("fan", "test $BRANE_INDEX = 0 || "+l.FailFirst("fan.$BRANE_INDEX"))
	fan.Completions, fan.Retries = 2, 1
	flaky.Retries, risky.AllowFailure, rescue.When = 1, true, workflow.OnFailure
	run := l.NewRun(flaky, risky, rescue, l.Step("slow", l.Wait(), "flaky", "rescue"), l.Script("bad", l.FailFirst("bad"), "slow", "fan"), fan)
	child := l.StartChild(run)
	testenv.Receive(t, "the step", l.Counter.Arrived)
	runtest.Kill(t, child)
	l.Counter.Release()
	want := map[string]runtest.StepEnd{"flaky": {Status: workflow.Succeeded, Code: 0, Attempts: 2}, "risky": {Status: workflow.Failed, Code: 3, Attempts: 1}, "rescue": {Status: workflow.Succeeded, Code: 0, Attempts: 1}, "slow": {Status: workflow.Succeeded, Code: 0, Attempts: 1}, "fan": {Status: workflow.Succeeded, Code: 0, Attempts: 2}, "bad": {Status: workflow.Failed, Code: 1, Attempts: 1}}
	second := testenv.Receive(t, "the second process", runtest.Execute(t.Context(), run))
	second.CheckSteps(t, want)
	if len(second.Result.Failures) != 1 || len(second.Result.Allowed) != 1 || second.Result.Allowed[0].Detail() == "" || second.Result.Allowed[0].Code != 3 {
		t.Errorf("failures %+v, allowed %+v", second.Result.Failures, second.Result.Allowed)
	}
	want["bad"] = runtest.StepEnd{Status: workflow.Succeeded, Code: 0, Attempts: 2}
	testenv.Receive(t, "the third process", runtest.Execute(t.Context(), run)).CheckSteps(t, want)
	recalled, err := run.Clients.Results.Load(t.Context())
	runtest.Ended{Result: recalled, Err: err}.CheckSteps(t, want)
	if n := l.Counter.Count("risky"); n != 1 {
		t.Errorf("step risky ran %d times", n)
	}
	parts, err := run.Clients.Results.Indexes(t.Context(), "fan", l.Result(run, "fan").Fingerprint)
	if err != nil || len(parts) != 2 || parts[0].Attempts != 1 || parts[1].Attempts != 2 || !parts[0].IsCommitted || parts[1].Ended.Before(parts[1].Started) {
		t.Errorf("the parts are %+v, %v", parts, err)
	}
}

// A committed index of a fan-out step does not run again: neither when the process is killed, nor when another index has failed and the
// step runs again.
func TestPartsAcrossAKilledProcess(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	fan := l.Script("fan", "n=$(wget -q -O - "+l.Counter.URL+"/ran/fan.$BRANE_INDEX); test $BRANE_INDEX != 1 || { "+l.Wait()+"; sleep 1; test $n -gt 1; }")
	fan.Completions, fan.MaxFailedIndexes = 3, 2
	run := l.NewRun(fan)
	store := run.Clients.Results.Files()
	parts := func() map[string]int {
		starts, err := store.Starts(t.Context(), run.Spec.Graph.Step("fan").IndexFingerprints(l.Result(run, "fan").Fingerprint.Seen()))
		if err != nil {
			t.Fatal(err)
		}
		return starts
	}
	events := store.Events(t.Context(), files.Steps)
	child := l.StartChild(run)
	testenv.Receive(t, "the part", l.Counter.Arrived)
	for done := 0; done < 2; {
		testenv.Receive(t, "the others", events)
		records, err := store.Commits(t.Context(), map[string]files.Fingerprint{
			"fan.0": l.Result(run, "fan.0").Fingerprint, "fan.2": l.Result(run, "fan.2").Fingerprint,
		})
		if err != nil {
			t.Fatal(err)
		}
		done = len(records)
	}
	runtest.Kill(t, child)
	adopted, going := runtest.Heard(run, workflow.StepAdopted, "fan"), runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the second process", adopted)
	l.Counter.Release()
	second := testenv.Receive(t, "its end", going)
	second.CheckSteps(t, map[string]runtest.StepEnd{"fan": {Status: workflow.Failed, Code: 1, Attempts: 1}})
	if step := second.Result.Steps["fan"]; step.Ended.Sub(step.Started) < time.Second {
		t.Errorf("the step went from %s to %s", step.Started, step.Ended)
	}
	if got, want := parts(), map[string]int{"fan.0": 1, "fan.1": 1, "fan.2": 1}; !maps.Equal(got, want) {
		t.Errorf("after the first attempt %v", got)
	}
	testenv.Receive(t, "the third process", runtest.Execute(t.Context(), run)).CheckSteps(t, map[string]runtest.StepEnd{"fan": {Status: workflow.Succeeded, Code: 0, Attempts: 2}})
	if got, want := parts(), map[string]int{"fan.0": 1, "fan.1": 2, "fan.2": 1}; !maps.Equal(got, want) {
		t.Errorf("after the second attempt %v", got)
	}
}

// Conflicting files of indexes stay committed: the step fails again, and nothing runs until its command is another one.
func TestConflictStays(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	fan := l.Step("fan", "echo $BRANE_INDEX > /data/same")
	fan.Completions = 2
	run := l.NewRun(fan)
	for range 2 {
		end := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
		if end.Err != nil || len(end.Result.Failures) != 1 || end.Result.Failures[0].Reason != workflow.ReasonFilesConflict {
			t.Fatalf("the run ended with %+v, %v", end.Result, end.Err)
		}
	}
	if n := l.Counter.Count("fan"); n != 2 {
		t.Errorf("the parts ran %d times", n)
	}
	fan.Command = l.Step("fan", "echo $BRANE_INDEX > /data/$BRANE_INDEX").Command
	testenv.Receive(t, "the mended run", runtest.Execute(t.Context(), l.Change(run, fan))).CheckSucceeded(t)
	if n := l.Counter.Count("fan"); n != 4 {
		t.Errorf("with another command, the parts ran %d times", n)
	}
}

// The pod of a retry is denied: the failure is reported like that of a first pod, together with the end of the pod before.
func TestAPodThatIsRefusedAtARetry(t *testing.T) {
	t.Parallel()
	for name, count := range map[string]int{"alone": 0, "many": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			step := l.Script("again", l.Wait()+"; exit 7")
			step.Retries, step.Completions = 1, count
			run := l.NewRun(step)
			run.Spec.Timeouts = workflow.PodTimeouts{Startup: time.Second, Scheduling: 3 * time.Second}
			ended := runtest.Execute(t.Context(), run)
			testenv.Receive(t, "the step", l.Counter.Arrived)
			limitObjects(t, l, "none", corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")})
			l.Counter.Release()
			e := testenv.Receive(t, "the refusal", ended)
			if e.Err != nil || len(e.Result.Failures) != 1 {
				t.Fatalf("%v, failures %v", e.Err, e.Result.Failures)
			}
			detail := e.Result.Failures[0].Detail()
			for _, want := range []string{"FailedCreate: Error creating: pods ", "is forbidden: exceeded quota: none", "Before, pod ", "the command failed with exit code 7 (Error)", "ResourceQuota \"none\""} {
				if !strings.Contains(detail, want) {
					t.Errorf("it does not say %q:\n%s", want, detail)
				}
			}
		})
	}
}
