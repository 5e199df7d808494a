package engine

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// script returns a step that runs a shell script.
func (l *lab) script(name, do string, needs ...string) workflow.Step {
	return workflow.Step{Name: name, Image: l.variable("BRANE_TOOLS_IMAGE"), Needs: needs, Command: []string{"sh", "-ec", do}}
}

// endedAs is the expected result of a step.
type endedAs struct {
	status         workflow.StepStatus
	code, attempts int
}

// is checks how the steps of a run have ended, and that all started ones have times.
func (e executed) is(t *testing.T, want map[string]endedAs) {
	t.Helper()
	if e.err != nil {
		t.Fatal(e.err)
	}
	got := map[string]endedAs{}
	for name, step := range e.result.Steps {
		got[name] = endedAs{step.Status, step.Code, step.Attempts}
		if began := step.Status == workflow.Succeeded || step.Status == workflow.Failed; began && (step.Started.IsZero() || step.Ended.Before(step.Started) || time.Since(step.Ended) > time.Hour) {
			t.Errorf("step %s went from %s to %s", name, step.Started, step.Ended)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// The next process knows what a killed process has seen: how often each command was started, and the allowed failures.
//
//	flaky (fails once) ───────────────────╲    fan (of two, one fails once)
//	risky (may fail, does) → rescue (failure) → slow → bad (fails)
func TestAttemptsAndAllowedFailures(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	flaky, risky, rescue := l.script("flaky", l.second("flaky")), l.step("risky", "exit 3"), l.step("rescue", "true", "risky")
	fan := l.script("fan", "test $BRANE_INDEX = 0 || "+l.second("fan.$BRANE_INDEX"))
	fan.Completions, fan.Retries = 2, 1
	flaky.Retries, risky.AllowFailure, rescue.When = 1, true, workflow.OnFailure
	run := l.run(flaky, risky, rescue, l.step("slow", l.wait(), "flaky", "rescue"), l.script("bad", l.second("bad"), "slow", "fan"), fan)
	child := l.child(run)
	await(t, "the step", l.counter.arrived)
	kill(t, child)
	l.counter.release()
	want := map[string]endedAs{"flaky": {workflow.Succeeded, 0, 2}, "risky": {workflow.Failed, 3, 1}, "rescue": {workflow.Succeeded, 0, 1}, "slow": {workflow.Succeeded, 0, 1}, "fan": {workflow.Succeeded, 0, 2}, "bad": {workflow.Failed, 1, 1}}
	second := await(t, "the second process", execute(t.Context(), run))
	second.is(t, want)
	if len(second.result.Failures) != 1 || len(second.result.Allowed) != 1 || second.result.Allowed[0].Detail() == "" || second.result.Allowed[0].Code != 3 {
		t.Errorf("failures %+v, allowed %+v", second.result.Failures, second.result.Allowed)
	}
	want["bad"] = endedAs{workflow.Succeeded, 0, 2}
	await(t, "the third process", execute(t.Context(), run)).is(t, want)
	recalled, err := run.Recall(t.Context())
	executed{recalled, err}.is(t, want)
	if n := l.counter.of("risky"); n != 1 {
		t.Errorf("step risky ran %d times", n)
	}
	parts, err := run.Parts(t.Context(), "fan")
	if err != nil || len(parts) != 2 || parts[0].Attempts != 1 || parts[1].Attempts != 2 || !parts[0].Committed || parts[1].Ended.Before(parts[1].Started) {
		t.Errorf("the parts are %+v, %v", parts, err)
	}
}

// A committed index of a fan-out step does not run again: neither when the process is killed, nor when another index has failed and the step runs again.
func TestPartsAcrossAKilledProcess(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	fan := l.script("fan", "n=$(wget -q -O - "+l.counter.url+"/ran/fan.$BRANE_INDEX); test $BRANE_INDEX != 1 || { "+l.wait()+"; sleep 1; test $n -gt 1; }")
	fan.Completions, fan.MaxFailedIndexes = 3, 2
	run := l.run(fan)
	store, err := Files(l.redis, run.ID)
	if err != nil {
		t.Fatal(err)
	}
	parts := func() map[string]int {
		starts, err := store.Starts(t.Context(), []string{"fan.0", "fan.1", "fan.2"})
		if err != nil {
			t.Fatal(err)
		}
		return starts
	}
	events := store.Events(t.Context())
	child := l.child(run)
	await(t, "the part", l.counter.arrived)
	for done := 0; done < 2; {
		await(t, "the others", events)
		records, err := store.Commits(t.Context(), []string{"fan.0", "fan.2"})
		if err != nil {
			t.Fatal(err)
		}
		done = len(records)
	}
	kill(t, child)
	adopted, going := heard(run, workflow.StepAdopted, "fan"), execute(t.Context(), run)
	await(t, "the second process", adopted)
	l.counter.release()
	second := await(t, "its end", going)
	second.is(t, map[string]endedAs{"fan": {workflow.Failed, 1, 1}})
	if step := second.result.Steps["fan"]; step.Ended.Sub(step.Started) < time.Second {
		t.Errorf("the step went from %s to %s", step.Started, step.Ended)
	}
	if got, want := parts(), map[string]int{"fan.0": 1, "fan.1": 1, "fan.2": 1}; !maps.Equal(got, want) {
		t.Errorf("after the first attempt %v", got)
	}
	await(t, "the third process", execute(t.Context(), run)).is(t, map[string]endedAs{"fan": {workflow.Succeeded, 0, 2}})
	if got, want := parts(), map[string]int{"fan.0": 1, "fan.1": 2, "fan.2": 1}; !maps.Equal(got, want) {
		t.Errorf("after the second attempt %v", got)
	}
}

// Conflicting files of indexes stay committed: the step fails again, and nothing runs.
func TestConflictStays(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	fan := l.step("fan", "echo $BRANE_INDEX > /data/same")
	fan.Completions = 2
	run := l.run(fan)
	for range 2 {
		end := await(t, "the run", execute(t.Context(), run))
		if end.err != nil || len(end.result.Failures) != 1 || end.result.Failures[0].Reason != workflow.ReasonFilesConflict {
			t.Fatalf("the run ended with %+v, %v", end.result, end.err)
		}
	}
	if n := l.counter.of("fan"); n != 2 {
		t.Errorf("the parts ran %d times", n)
	}
	mended := fan
	mended.Command = []string{"sh", "-ec", "echo $BRANE_INDEX > /data/$BRANE_INDEX"}
	if (workflow.Identity{Name: "r", Steps: []workflow.Step{fan}}).ID() == (workflow.Identity{Name: "r", Steps: []workflow.Step{mended}}).ID() {
		t.Error("a mended program makes no other run")
	}
}

// The pod of a retry is denied: the failure is reported like that of a first pod, together with the end of the pod before.
func TestAPodThatIsRefusedAtARetry(t *testing.T) {
	t.Parallel()
	for name, count := range map[string]int{"alone": 0, "many": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			step := l.script("again", l.wait()+"; exit 7")
			step.Retries, step.Completions = 1, count
			run := l.run(step)
			run.Timeouts = workflow.PodTimeouts{Startup: time.Second, Scheduling: 3 * time.Second}
			ended := execute(t.Context(), run)
			await(t, "the step", l.counter.arrived)
			quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "none"}}
			quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}
			if err := l.admin.Create(t.Context(), quota); err != nil {
				t.Fatal(err)
			}
			if err := wait.PollUntilContextCancel(t.Context(), 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
				return len(quota.Status.Hard) > 0, l.admin.Get(ctx, quota)
			}); err != nil {
				t.Fatal(err)
			}
			l.counter.release()
			e := await(t, "the refusal", ended)
			if e.err != nil || len(e.result.Failures) != 1 {
				t.Fatalf("%v, failures %v", e.err, e.result.Failures)
			}
			detail := e.result.Failures[0].Detail()
			for _, want := range []string{"FailedCreate: Error creating: pods ", "is forbidden: exceeded quota: none", "Before, pod ", "the command failed with exit code 7 (Error)", "Correct what the message names"} {
				if !strings.Contains(detail, want) {
					t.Errorf("it does not say %q:\n%s", want, detail)
				}
			}
		})
	}
}
