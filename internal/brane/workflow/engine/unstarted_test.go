package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// unstartedPod returns a pod of a step's attempt that has failed: "rejected" by its node, "unreachable" for its agent, "gone", because its files are
// gone, or "failed".
func unstartedPod(kind, index string, attempt int) *corev1.Pod {
	pod := endedPod(fmt.Sprint(kind, index, attempt), 0, workflow.StepContainer, 201, "Error")
	pod.Labels = map[string]string{workflow.StepLabel: "a", workflow.AttemptLabel: fmt.Sprint(attempt)}
	if index != "" {
		pod.Labels[batchv1.JobCompletionIndexAnnotation] = index
	}
	ended := pod.Status.ContainerStatuses[0].State.Terminated
	switch kind {
	case "rejected":
		pod.Status.Reason, pod.Status.Message, pod.Status.ContainerStatuses = "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu", nil
	case "unreachable":
		ended.Message = "brane: step \"a\": redis cannot be reached: i/o timeout\n"
	case "gone":
		ended.Message = "brane: step \"a\": the commit of the step is gone\n"
	case "failed":
		ended.ExitCode = 3
	}
	return pod
}

// A step whose command was not started gets another attempt, without losing a retry; what it has failed itself counts.
func TestUnstartedCommandsDoNotCount(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		step    workflow.Step
		reason  string
		indexes string // that have failed
		pods    string
		want    phase
		retries int32 // that are left
	}{
		"a node that has no room":            {workflow.Step{}, "BackoffLimitExceeded", "", "rejected", pending, 0},
		"a Redis that is away":               {workflow.Step{}, "PodFailurePolicy", "", "unreachable", pending, 0},
		"files that are gone":                {workflow.Step{}, "BackoffLimitExceeded", "", "gone", failed, 0},
		"a command that fails":               {workflow.Step{}, "PodFailurePolicy", "", "failed", failed, 0},
		"no pod":                             {workflow.Step{}, "BackoffLimitExceeded", "", "", failed, 0},
		"a deadline":                         {workflow.Step{}, "DeadlineExceeded", "", "rejected", failed, 0},
		"retries that nodes have used":       {workflow.Step{Retries: 1}, "BackoffLimitExceeded", "", "rejected unreachable", pending, 1},
		"retries that both have used":        {workflow.Step{Retries: 1}, "BackoffLimitExceeded", "", "rejected failed", pending, 0},
		"retries that the command has used":  {workflow.Step{Retries: 0}, "BackoffLimitExceeded", "", "rejected failed", failed, 0},
		"an index":                           {workflow.Step{Completions: 3}, "FailedIndexes", "1", "rejected/1", pending, 0},
		"an index that fails beside another": {workflow.Step{Completions: 3}, "FailedIndexes", "1-2", "rejected/1 failed/2", failed, 0},
	} {
		tt.step.Name = "a"
		l, _, events := openLoop(t, tt.step)
		for _, kind := range strings.Fields(tt.pods) {
			kind, index, _ := strings.Cut(kind, "/")
			l.rememberPod(unstartedPod(kind, index, 1))
		}
		if tt.indexes != "" {
			l.failedIndexes["a"] = tt.indexes
		}
		l.state.markUnconfirmed("a", 1, failureReason{tt.reason, "message"})
		if err := l.reconcileCommits(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.state.phaseOf("a"); got != tt.want {
			t.Errorf("%s: the step is in phase %d, not %d", name, got, tt.want)
		}
		if tt.want != pending {
			continue
		}
		if got := l.retriesOf("a"); got != tt.retries {
			t.Errorf("%s: %d retries are left, not %d", name, got, tt.retries)
		}
		if ready := l.withoutWaiting([]string{"a"}, time.Now()); len(ready) > 0 || len(l.withoutWaiting([]string{"a"}, time.Now().Add(unstartedPause))) != 1 {
			t.Errorf("%s: the next attempt starts without a pause, or never", name)
		}
		if wake := l.nextWake(time.Now()); wake.After(l.unstarted["a"].until) {
			t.Errorf("%s: the loop sleeps until %s", name, wake)
		}
		if last := (*events)[len(*events)-1]; !strings.HasSuffix(last, "it is started again in 5s") {
			t.Errorf("%s: the event is %q", name, last)
		}
	}
}

// The number of these attempts is limited.
func TestUnstartedCommandsAreLimited(t *testing.T) {
	t.Parallel()
	l, _, _ := openLoop(t, workflow.Step{Name: "a"})
	for attempt := 1; attempt <= maxUnstarted+1; attempt++ {
		l.state.recordJob("a", attempt)
		l.rememberPod(unstartedPod("rejected", "", attempt))
		l.state.markUnconfirmed("a", attempt, failureReason{"BackoffLimitExceeded", "message"})
		if err := l.reconcileCommits(t.Context()); err != nil {
			t.Fatal(err)
		}
		if isFailed := l.state.phaseOf("a") == failed; isFailed != (attempt > maxUnstarted) {
			t.Errorf("attempt %d: it has failed: %t", attempt, isFailed)
		}
	}
	if len(l.failures) != 1 || !strings.Contains(l.failures[0].Error(), "OutOfcpu: Pod was rejected") {
		t.Errorf("the failures are %v", l.failures)
	}
}

// A Job that is complete without a commit is started again if an earlier execution has created it, because the commit was deleted in between.
func TestMissingCommitOfAnAdoptedJob(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]phase{"adopted": pending, "created": failed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _, _ := openLoop(t, workflow.Step{Name: "a"}, workflow.Step{Name: "slow"})
			if name == "adopted" {
				delete(l.firstAttempts, "a")
			}
			l.state.markUnconfirmed("a", 1, failureReason{reasonCommitMissing, "no commit"})
			if err := l.reconcileCommits(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := l.state.phaseOf("a"); got != want {
				t.Errorf("the step is in phase %d, want %d", got, want)
			}
		})
	}
}
