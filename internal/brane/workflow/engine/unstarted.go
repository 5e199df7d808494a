package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Pods whose command has not started. A node may refuse a pod that was bound to it, because a device or the last free processor is gone, or
// because it is shutting down; and an agent may not reach Redis. The Job controller counts such pods like failed commands, and a step
// without retries has failed. It is no failure of the step, so the loop starts another attempt, and only commands that have started count.

const (
	// maxUnstarted is how often a step gets another attempt because its command has not started.
	maxUnstarted = 5
	// unstartedPause is the pause before the first of these attempts; it is doubled each time.
	unstartedPause = 5 * time.Second
)

// findUnstartedCause returns why the command of a pod that has failed was not started, if that is no failure of the step; empty otherwise.
func findUnstartedCause(pod *corev1.Pod) string {
	if pod.Status.Phase != corev1.PodFailed {
		return ""
	}
	if pod.Status.Reason != "" && !hasStarted(pod) && findDisruptionTarget(pod) == nil {
		return fmt.Sprintf("node %s has not admitted pod %s: %s: %s", pod.Spec.NodeName, pod.Name, pod.Status.Reason, strings.TrimSuffix(pod.Status.Message, "."))
	}
	for _, status := range listOwnFirst(pod) {
		// The agent writes the text of the error into the message.
		if ended := status.State.Terminated; ended != nil && newEnd(pod, "").IsStagingIn() && strings.Contains(ended.Message, files.ErrUnreachable.Error()) {
			return fmt.Sprintf("the agent of pod %s could not reach Redis", pod.Name)
		}
	}
	return ""
}

// countFailures counts the failed pods of an index of a step's latest attempt, or of a step without indexes: those whose command was not
// started, and the others, without those that were stopped. cause is that of one of the former.
func (l *loop) countFailures(step, index string) (unstarted, counted int, cause string) {
	for _, pod := range l.failed[failedKey{step, index}] {
		if !l.isLatest(step, pod) {
			continue
		}
		if why := findUnstartedCause(pod); why != "" {
			unstarted, cause = unstarted+1, why
		} else if isEvicted(pod) || findDisruptionTarget(pod) == nil && !newEnd(pod, "").IsStop() {
			counted++
		}
	}
	return unstarted, counted, cause
}

// wasUnstarted reports whether an index of a step, or a step without indexes, has only failed because its command was not started in
// some of its pods, and why.
func (l *loop) wasUnstarted(step, index string) (cause string, is bool) {
	unstarted, counted, cause := l.countFailures(step, index)
	return cause, unstarted > 0 && counted <= int(l.retriesOf(step))
}

// retriesOf returns the retries that a step has left: failures of earlier attempts that were continued have used some.
func (l *loop) retriesOf(step string) int32 {
	return max(l.spec.Graph.Step(step).Retries-l.unstarted[step].used, 0)
}

// unstartedStep is what is known about a step whose command was not started in earlier attempts.
type unstartedStep struct {
	count int       // of these attempts
	used  int32     // retries that failed commands have used in them
	until time.Time // when the next attempt may start
}

// retryUnstarted lets unconfirmed steps wait for another attempt if their Jobs have failed only because commands were not started. It is
// called after the commits were read.
func (l *loop) retryUnstarted(ctx context.Context, now time.Time) {
	for step, why := range l.state.listUnconfirmed() {
		if _, hasStarted := l.firstAttempts[step]; why.reason == reasonCommitMissing && !hasStarted {
			// The pod of an adopted Job had ended already, and its commit was deleted before this execution.
			l.state.retryStep(step)
			l.reportEvent(workflow.RunDisturbed, step, why.message+"; it is started again")
			continue
		}
		switch why.reason {
		case batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonFailedIndexes, batchv1.JobReasonPodFailurePolicy:
		default:
			continue
		}
		l.refreshPods(ctx, step)
		last := l.unstarted[step]
		cause, isUnstarted := l.whyUnstarted(step)
		if !isUnstarted || last.count >= maxUnstarted {
			continue
		}
		pause := unstartedPause << last.count
		_, counted, _ := l.countFailures(step, "")
		l.unstarted[step] = unstartedStep{last.count + 1, last.used + int32(counted), now.Add(pause)} //nolint:gosec // at most the retries
		l.state.retryStep(step)
		l.reportEvent(workflow.RunDisturbed, step, fmt.Sprintf("%s; it is started again in %s", cause, pause))
	}
}

// whyUnstarted returns why a step has failed if that is only because commands were not started.
func (l *loop) whyUnstarted(step string) (cause string, is bool) {
	if !l.spec.Graph.Step(step).IsIndexed() {
		return l.wasUnstarted(step, "")
	}
	for _, index := range l.listFailedIndexes(step) {
		if l.merger.isIndexCommitted(step, index) {
			continue
		}
		if cause, is = l.wasUnstarted(step, fmt.Sprint(index)); !is {
			return "", false
		}
	}
	return cause, is
}

// withoutWaiting returns the steps whose next attempt may start now.
func (l *loop) withoutWaiting(steps []string, now time.Time) []string {
	var ready []string
	for _, step := range steps {
		if !now.Before(l.unstarted[step].until) {
			ready = append(ready, step)
		}
	}
	return ready
}
