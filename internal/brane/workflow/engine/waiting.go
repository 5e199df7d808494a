package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// What steps wait for. Some states last as long as another actor wants: a queue that suspends a Job, a scheduling gate, a webhook that does
// not answer. They are no failure, so they are reported while they last, and in the error of a run that exceeds its timeout.

const (
	maxWaitingSteps = 10               // in one message
	waitingTimeout  = 10 * time.Second // to read what the steps wait for, after the run has ended
)

// reportWaiting reports what a step waits for, if that has changed; empty means for nothing.
func (l *loop) reportWaiting(step, reason string) {
	if l.waiting[step] == reason {
		return
	}
	l.waiting[step] = reason
	if reason != "" {
		l.reportEvent(workflow.StepWaits, step, reason)
	}
}

// DescribeSuspension returns a sentence about a Job that another actor has suspended, for example a queue; empty if it is not suspended.
func DescribeSuspension(job *batchv1.Job) string {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobSuspended && condition.Status == corev1.ConditionTrue {
			return fmt.Sprintf("Job %q is suspended: %s", job.Name, condition.Message)
		}
	}
	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		return fmt.Sprintf("Job %q is suspended", job.Name)
	}
	return ""
}

// DescribeGates returns a sentence about the scheduling gates of a pod; empty if it has none. It is the same for all pods of a fan-out step.
func DescribeGates(pod *corev1.Pod) string {
	names := make([]string, len(pod.Spec.SchedulingGates))
	for i, gate := range pod.Spec.SchedulingGates {
		names[i] = gate.Name
	}
	if len(names) == 0 {
		return ""
	}
	return "its pod is not scheduled before these scheduling gates are removed: " + strings.Join(names, ", ")
}

// explainTimeout adds to the error of a run that exceeds its timeout what its steps were waiting for.
func (l *loop) explainTimeout(ctx context.Context, err error) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), waitingTimeout)
	defer done()
	var lines []string
	for _, step := range slices.Sorted(maps.Keys(l.state.steps)) {
		if l.state.phaseOf(step) == running {
			lines = append(lines, fmt.Sprintf("step %q: %s", step, l.describeStep(ctx, step)))
		}
	}
	if more := len(lines) - maxWaitingSteps; more > 0 {
		lines = append(lines[:maxWaitingSteps], fmt.Sprintf("and %d other steps", more))
	}
	if l.lastDisturbance != "" {
		lines = append(lines, "the last request that failed: "+l.lastDisturbance)
	}
	if len(lines) == 0 {
		return err
	}
	return fmt.Errorf("%w; at that time:\n  %s", err, strings.Join(lines, "\n  "))
}

// describeStep returns what the latest attempt of a running step is doing or waiting for.
func (l *loop) describeStep(ctx context.Context, step string) string {
	job := &batchv1.Job{}
	job.Namespace, job.Name = l.spec.Namespace, l.jobName(step)
	if err := l.clients.Kube.Get(ctx, job); err != nil {
		return fmt.Sprintf("Job %q cannot be read: %v", job.Name, err)
	}
	if suspension := DescribeSuspension(job); suspension != "" {
		return suspension
	}
	l.refreshPods(ctx, step)
	var pods []string
	for _, pod := range l.pods[step] {
		if isPodRunning(pod) && l.isLatest(step, pod) {
			pods = append(pods, l.describePod(ctx, pod))
		}
	}
	if len(pods) == 0 {
		if reason, message := FindBlockingEvent(ctx, l.clients.Kube, job.Namespace, job.Name); reason != "" {
			return fmt.Sprintf("Job %q has no pod: %s: %s", job.Name, reason, message)
		}
		return fmt.Sprintf("Job %q has no pod", job.Name)
	}
	slices.Sort(pods)
	if len(pods) > 1 {
		return fmt.Sprintf("%s, and %d other pods", pods[0], len(pods)-1)
	}
	return pods[0]
}

// describePod returns what a pod that has not ended is doing or waiting for.
func (l *loop) describePod(ctx context.Context, pod *corev1.Pod) string {
	if gates := DescribeGates(pod); gates != "" {
		return gates
	}
	where := fmt.Sprintf("pod %q is %s", pod.Name, pod.Status.Phase)
	if pod.Spec.NodeName != "" {
		where += fmt.Sprintf(" on node %q", pod.Spec.NodeName)
	}
	if pod.DeletionTimestamp != nil {
		return where + " and is being deleted since " + pod.DeletionTimestamp.UTC().Format(time.RFC3339)
	}
	if hasStepStarted(pod) {
		return where
	}
	reason, message := FindPendingReason(pod)
	if reason == "" {
		reason, message = FindBlockingEvent(ctx, l.clients.Kube, pod.Namespace, pod.Name)
	}
	if reason == "" {
		return where + ", and its command has not started"
	}
	return fmt.Sprintf("%s: %s: %s", where, reason, message)
}
