package engine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// readCounter counts the commits that are read.
type readCounter struct{ n atomic.Int32 }

func (c *readCounter) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c *readCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *readCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		for _, command := range commands {
			if command.Name() == "get" && strings.Contains(command.String(), ":step:") {
				c.n.Add(1)
			}
		}
		return next(ctx, commands)
	}
}

// The number of commits that a fan-out step reads grows with the number of its indexes, not with its square: each signal reads only what it
// is about, and what is known is not read again.
func TestEachCommitIsReadAFewTimes(t *testing.T) {
	t.Parallel()
	const completions = 400
	l, client, _ := openLoop(t, workflow.Step{Name: "fan", Completions: completions})
	if err := l.reconcileCommits(t.Context()); err != nil { // what is there at the start
		t.Fatal(err)
	}
	reads := &readCounter{}
	client.AddHook(reads)
	stored, err := l.results.Files().Snapshot(t.Context(), t.TempDir(), nil, nil, "fan")
	if err != nil {
		t.Fatal(err)
	}
	for i := range completions {
		index := workflow.IndexKey("fan", i)
		record := files.Record{Attempt: 1, Layer: stored.Layer, Base: l.starts["fan"].Layer, Started: time.Now().UTC(), Ended: time.Now().UTC()}
		if _, _, err := l.results.Files().Commit(t.Context(), l.starts["fan"].keyOf(index), record); err != nil {
			t.Fatal(err)
		}
		ended := endedPod("fan", 0, "", 0, "")
		ended.UID, ended.Labels = types.UID(index), map[string]string{workflow.StepLabel: "fan", workflow.AttemptLabel: "1", "batch.kubernetes.io/job-completion-index": strings.TrimPrefix(index, "fan.")}
		ended.Status.Phase = corev1.PodSucceeded
		for _, signal := range []any{files.Event{Step: index, State: files.Committed}, podChanged{ended}, files.Event{Step: index, State: files.Committed}} {
			if err := l.handleSignal(t.Context(), signal); err != nil {
				t.Fatal(err)
			}
			if err := l.reconcileCommits(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := l.state.phaseOf("fan"); got != committed {
		t.Errorf("the step is in phase %d", got)
	}
	if most := int32(2 * completions); reads.n.Load() > most {
		t.Errorf("%d commits were read for %d indexes, more than %d", reads.n.Load(), completions, most)
	}
}

// Announcements may be lost, so after a lost connection everything is read, at a resync all steps and the indexes whose pods run, and after the deletion of a
// pod what it may have committed.
func TestLostAnnouncementsAreFound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, notice := range map[string]func(*loop) error{
		"the subscription is renewed": func(l *loop) error { return l.handleSignal(ctx, files.Event{State: files.Resync}) },
		"a resync":                    func(l *loop) error { return l.handleTimer(ctx, l.nextResync.Add(time.Second)) },
		"all pods are deleted": func(l *loop) error {
			for _, pods := range l.pods {
				for _, pod := range pods {
					if err := l.handleSignal(ctx, podDeleted{pod}); err != nil {
						return err
					}
				}
			}
			return nil
		},
		"another index is announced": func(l *loop) error { l.hints.expect("fan.1"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _, _ := openLoop(t, workflow.Step{Name: "fan", Completions: 2}, workflow.Step{Name: "step"})
			if err := l.reconcileCommits(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"fan.0", "fan.1", "step"} {
				step, index, _ := strings.Cut(name, ".")
				l.rememberPod(runningPod(step, index))
				commitFile(t, l.results.Files(), l.starts[step], name, name, "content")
			}
			if l.needsCommits() {
				t.Fatal("nothing was announced")
			}
			if err := notice(l); err != nil {
				t.Fatal(err)
			}
			if err := l.reconcileCommits(t.Context()); err != nil {
				t.Fatal(err)
			}
			isAll := !strings.HasPrefix(name, "another")
			if (l.state.phaseOf("fan") == committed) != isAll || (l.state.phaseOf("step") == committed) != isAll || !l.merger.isIndexCommitted("fan", 1) {
				t.Errorf("the steps are in phases %d and %d", l.state.phaseOf("fan"), l.state.phaseOf("step"))
			}
		})
	}
}

// runningPod returns a running pod of a step, or of an index of it.
func runningPod(step, index string) *corev1.Pod {
	pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	pod.UID, pod.Labels = types.UID(step+index), map[string]string{workflow.StepLabel: step, workflow.AttemptLabel: "1"}
	if index != "" {
		pod.Labels[batchv1.JobCompletionIndexAnnotation] = index
	}
	return pod
}

// A resync reads the commits of the indexes that run, and not those of thousands that wait or have ended.
func TestResyncReadsRunningIndexes(t *testing.T) {
	t.Parallel()
	l, client, _ := openLoop(t, workflow.Step{Name: "fan", Completions: 400})
	if err := l.reconcileCommits(t.Context()); err != nil {
		t.Fatal(err)
	}
	reads := &readCounter{}
	client.AddHook(reads)
	running, waiting, ended := runningPod("fan", "7"), runningPod("fan", "8"), runningPod("fan", "9")
	waiting.Status.Phase, ended.Status.Phase = corev1.PodPending, corev1.PodSucceeded
	for _, pod := range []*corev1.Pod{running, waiting, ended} {
		l.rememberPod(pod)
	}
	l.expectRunning()
	if err := l.reconcileCommits(t.Context()); err != nil {
		t.Fatal(err)
	}
	if reads.n.Load() != 2 {
		t.Errorf("%d commits were read, and not those of the step and of the index that runs", reads.n.Load())
	}
	if err := l.handleTimer(t.Context(), l.nextResync.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if l.hints.all || !l.hints.names["fan.7"] {
		t.Errorf("a resync expects %+v", l.hints)
	}
}

// The Job of a failed step is stopped unless it has ended, whatever the loop has decided the failure by: the run may succeed without the step, and nothing
// would end its pods.
func TestJobsOfFailedStepsAreStopped(t *testing.T) {
	t.Parallel()
	for reason, isStopped := range map[string]bool{
		"ImagePullBackOff": true, "Unschedulable": true, workflow.ReasonFailedCreate: true, workflow.ReasonEvicted: true, "MaxFailedIndexesExceeded": true,
		workflow.ReasonFilesConflict: true, "BackoffLimitExceeded": false, "DeadlineExceeded": false, "FailedIndexes": false, "PodFailurePolicy": false,
		reasonCommitMissing: false, workflow.ReasonJobDeleted: false,
	} {
		l, _, _ := openLoop(t, workflow.Step{Name: "a", Completions: 10, AllowFailure: true})
		l.state.markUnconfirmed("a", 1, failureReason{reason, "message"})
		if err := l.settleSteps(t.Context()); err != nil {
			t.Fatal(err)
		}
		change, found := l.cleanups[kube.Describe(l.newJob("a", "1"))]
		if l.state.phaseOf("a") != failed || found != isStopped || found && string(change.patch) != string(stopJobPatch) {
			t.Errorf("%s: the step is in phase %d, and its Job is stopped: %t", reason, l.state.phaseOf("a"), found)
		}
	}
}

// An execution that was killed after it had stored an allowed failure, and before it had stopped the Job of the step, leaves that to the next one.
func TestJobsOfRestoredFailuresAreStopped(t *testing.T) {
	t.Parallel()
	l, _, _ := openLoop(t, workflow.Step{Name: "a", AllowFailure: true})
	job, err := l.buildJob("a", 1)
	if err != nil {
		t.Fatal(err)
	}
	l.state.markUnconfirmed("a", 1, failureReason{"ImagePullBackOff", "message"})
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, isOver := range []bool{false, true} {
		cluster := &fakeCluster{jobs: []batchv1.Job{*job}}
		want := "[PATCH " + job.Name + "]"
		if isOver {
			cluster.jobs[0].Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}
			want = "[]"
		}
		next := cluster.nextLoop(t, l.Execution)
		if err := next.recoverProgress(t.Context()); err != nil {
			t.Fatal(err)
		}
		if next.cleanUp(t.Context()); next.state.phaseOf("a") != failed || fmt.Sprint(cluster.changes) != want {
			t.Errorf("the step is in phase %d, and the changes are %q, not %s", next.state.phaseOf("a"), cluster.changes, want)
		}
	}
}
