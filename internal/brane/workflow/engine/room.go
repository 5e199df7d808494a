package engine

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Room. A pod that cannot be scheduled or created, and a Job that a quota refuses, may wait for what other pods and Jobs of the same run
// hold. That is not a failure as long as the run moves: the scheduling timeout counts from the last time that a pod of the run ran, started
// or ended, or a step was committed.

// helplessNodes matches the scheduler's message if a number of nodes would not fit the pod even without any other pod.
var helplessNodes = regexp.MustCompile(`preemption: 0/(\d+) nodes are available: (\d+) Preemption is not helpful for scheduling`)

// quotaNumbers matches what a quota's refusal says about the resources that are exceeded.
var quotaNumbers = regexp.MustCompile(`exceeded quota: \S+, requested: (\S+), used: \S+, limited: ([^\s"]+)`)

// missingAddress matches what network plugins say if a node has no more addresses for pods.
var missingAddress = regexp.MustCompile(`(?i)\bips?\b|\baddress(es)?\b`)

// mayFreeRoom reports whether a pod or Job that does not start for this reason may start when others of the run have ended.
func mayFreeRoom(reason, message string) bool {
	switch reason {
	case corev1.PodReasonUnschedulable:
		nodes := helplessNodes.FindStringSubmatch(message)
		isHelpless := nodes != nil && nodes[1] == nodes[2]
		// Nodes that do not answer, are full, or are drained have taints of Kubernetes, which are removed again. Earlier versions name the taint; later ones
		// write "untolerated taint(s)", which may be any.
		return !isHelpless || slices.ContainsFunc([]string{"node.kubernetes.io/", "untolerated taint(s)", "were unschedulable"}, func(part string) bool {
			return strings.Contains(message, part)
		})
	case "FailedAttachVolume":
		return true
	case "FailedCreatePodSandBox":
		return missingAddress.MatchString(message)
	}
	return isQuotaRefusal(message) && fitsQuota(message)
}

// isQuotaRefusal reports whether a quota does not allow an object.
func isQuotaRefusal(message string) bool { return strings.Contains(message, "exceeded quota: ") }

// fitsQuota reports whether the object would be allowed if nothing else were in the namespace.
func fitsQuota(message string) bool {
	numbers := quotaNumbers.FindStringSubmatch(message)
	if numbers == nil {
		return true // a format that is not known
	}
	limited := parseQuantities(numbers[2])
	for name, requested := range parseQuantities(numbers[1]) {
		if limit, found := limited[name]; found && requested.Cmp(limit) > 0 {
			return false
		}
	}
	return true
}

// parseQuantities parses "cpu=1,memory=2Gi".
func parseQuantities(text string) map[string]resource.Quantity {
	quantities := map[string]resource.Quantity{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		if quantity, err := resource.ParseQuantity(value); err == nil {
			quantities[name] = quantity
		}
	}
	return quantities
}

// isMoving reports whether a pod holds resources that it will release: one of its containers has started, and the step's has not ended.
func isMoving(pod *corev1.Pod) bool {
	return isPodRunning(pod) && hasStarted(pod) && (findStepEnd(pod) == nil || pod.DeletionTimestamp != nil)
}

// recordMove records that a pod has changed, unless the change is only another reason why it does not start.
func (l *loop) recordMove(before, pod *corev1.Pod) {
	isNew := before == nil || before.ResourceVersion != pod.ResourceVersion
	if reason, _ := FindPendingReason(pod); isNew && reason == "" && pod.Spec.NodeName != "" {
		l.lastMove = time.Now()
	}
}

// hasMoved reports whether the run has moved less than the timeout ago, or moves now.
func (l *loop) hasMoved(now time.Time, timeout time.Duration) bool {
	if now.Sub(l.lastMove) < timeout {
		return true
	}
	for step, timer := range l.timers {
		pod := l.pods[step][timer.pod]
		isStarting := pod != nil && pod.Spec.NodeName != "" && timer.reason == "" && timer.timeout == l.spec.Timeouts.StartupOrDefault()
		if isStarting { // otherwise its events contain a reason, and it has the scheduling timeout
			l.lastMove = now
			return true
		}
	}
	for _, pods := range l.pods {
		for _, pod := range pods {
			if isMoving(pod) && !l.isDeleted[pod.UID] {
				l.lastMove = now
				return true
			}
		}
	}
	return false
}

// creationBackoff is longer than the Job controller waits at most before it creates a pod again that was refused. It doubles its pauses.
const creationBackoff = 65 * time.Second

// limitRoomWait returns how long a pod may wait after the run has moved.
func limitRoomWait(reason string, scheduling time.Duration) time.Duration {
	if reason == workflow.ReasonFailedCreate {
		return max(scheduling, creationBackoff)
	}
	return scheduling
}

// waitsForQuota reports whether to create a Job again later that a quota refuses: until the run has not moved for the scheduling timeout. Jobs of
// the run that are not needed any more are deleted.
func (l *loop) waitsForQuota(ctx context.Context, refusal error, now time.Time) bool {
	if !fitsQuota(refusal.Error()) {
		return false
	}
	if l.refusedSince.IsZero() {
		l.refusedSince = now
	}
	if isFreed := l.deleteUnneededJobs(ctx); isFreed {
		l.lastMove = now
	}
	timeout := l.spec.Timeouts.SchedulingOrDefault()
	return now.Sub(l.refusedSince) < timeout || l.hasMoved(now, timeout)
}

// freePods deletes what uses up a quota for the number of pods, of which the pod of a step was refused: in that number, pods that have ended count as
// well. Those of failed indexes stay, because Kubernetes counts the retries with them.
func (l *loop) freePods(ctx context.Context, refused, message string, now time.Time) {
	numbers := quotaNumbers.FindStringSubmatch(message)
	if numbers == nil || !strings.Contains(numbers[1], "count/pods=") {
		return
	}
	isFreed := l.deleteUnneededJobs(ctx)
	left := l.spec.Graph.Step(refused).ParallelOrDefault() // more cannot run
	for step, pods := range l.pods {
		for _, pod := range pods {
			index, err := strconv.Atoi(pod.Labels[indexLabel])
			isUnneeded := pod.Status.Phase == corev1.PodSucceeded && err == nil && l.state.phaseOf(step) == running && l.merger.isIndexCommitted(step, index)
			if !isUnneeded || left == 0 || l.isDeleted[pod.UID] || pod.DeletionTimestamp != nil {
				continue
			}
			l.requestCleanup(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}, nil)
			left--
			isFreed = true
		}
	}
	if isFreed {
		l.lastMove = now
	}
}

// quotaInterval is the pause before a Job is created again that a quota has refused, before the run has an engine.
const quotaInterval = 2 * time.Second

// CreateEngineJob creates the Job of an engine. While a quota is used up, the request is repeated for at most the scheduling timeout. Jobs of the run that are
// over are deleted then.
func CreateEngineJob(ctx context.Context, client *kube.Client, spec *workflow.Spec, job *batchv1.Job, observe workflow.Observer) error {
	var refusal error
	err := wait.PollUntilContextTimeout(ctx, quotaInterval, spec.Timeouts.SchedulingOrDefault(), true, func(ctx context.Context) (bool, error) {
		err := client.Retry(ctx, func() error { return client.Create(ctx, job) })
		if apierrors.IsAlreadyExists(err) {
			return true, nil
		}
		if err == nil || !apierrors.IsForbidden(err) || !isQuotaRefusal(err.Error()) || !fitsQuota(err.Error()) {
			return true, err
		}
		refusal = err
		observe.Report(workflow.Event{Kind: workflow.RunWaits, Detail: err.Error()})
		isNeeded := func(job *batchv1.Job) bool { return !parseAttempt(job).isComplete }
		return false, deleteJobs(ctx, client, spec.Ref(), isNeeded)
	})
	if refusal != nil && wait.Interrupted(err) && ctx.Err() == nil {
		return refusal
	}
	return err
}

// deleteUnneededJobs deletes the Jobs of committed steps, and those of attempts that a later one has replaced. It reports whether there was
// one. The Job of a failed step is kept, because it shows why.
func (l *loop) deleteUnneededJobs(ctx context.Context) bool {
	var jobs batchv1.JobList
	err := l.verifyLease(ctx) // another holder may have adopted them
	if err == nil {
		err = l.clients.Kube.List(ctx, &jobs, l.spec.Namespace, l.spec.Ref().StepsSelector())
	}
	isFreed := false
	for i := range jobs.Items {
		job := &jobs.Items[i]
		of := parseAttempt(job)
		isUnneeded := l.state.phaseOf(of.step) == committed || isJobOver(job) && of.number < l.state.latestAttempt(of.step)
		if isUnneeded && job.DeletionTimestamp == nil && err == nil {
			err = deleteObject(ctx, l.clients.Kube, job)
			isFreed = isFreed || err == nil
		}
	}
	if err != nil {
		l.reportEvent(workflow.RunDisturbed, "", err.Error()) // it is tried again with the next refusal
	}
	return isFreed
}
