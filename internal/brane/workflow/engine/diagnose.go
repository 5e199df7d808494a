package engine

import (
	"bytes"
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// Limits for the output and the events that a failure contains.
const (
	logLines = 20
	logBytes = 4 << 10
	lastFew  = 3
)

// diagnoseFailure collects what is known about a failed step. The status of its containers may be more precise than the reason of the Job.
func (l *loop) diagnoseFailure(ctx context.Context, step string, why failureReason) *workflow.Failure {
	if l.starts[step].Layer == "" { // the files of its needs conflict
		return &workflow.Failure{Step: step, Namespace: l.spec.Namespace, End: workflow.End{Reason: why.reason}, Message: why.message}
	}
	if why.reason == workflow.ReasonJobRefused {
		return l.newRefusedFailure(step, why)
	}
	ctx, done := context.WithTimeout(ctx, optionalTimeout)
	defer done()
	l.refreshPods(ctx, step)
	f := &workflow.Failure{
		Step: step, Namespace: l.spec.Namespace, Job: l.jobName(step), End: workflow.End{Reason: why.reason}, Message: why.message,
	}
	for i, pod := range l.rankPods(step, why.reason) {
		end := newEnd(pod, why.reason)
		end.Deleted = end.Deleted && !l.released[pod.UID] // the step had ended before
		if i == 0 {
			f.Started, f.Ended = l.findCommandTimes(step, pod)
		}
		switch {
		case i == 0 && why.reason != workflow.ReasonFailedCreate: // otherwise the reason is a pod that could not be created
			f.End = end
			f.Events = l.readWarnings(ctx, pod.Name)
		case len(f.Earlier) < lastFew:
			end.Log = workflow.LastLines(l.readLog(ctx, step, end, false), logLines/2)
			f.Earlier = append(f.Earlier, end)
		default:
			f.More++
		}
	}
	f.Log = l.readLog(ctx, step, f.End, true)
	f.Advice = cmp.Or(suggestRemedy(f, l.spec.AgentImage, l.injection), l.suggestAdmissionRemedy(f))
	f.HideSecrets(workflow.HideSecrets(l.spec.Graph, l.clients.RedisURL))
	return f
}

// newRefusedFailure describes the failure of a step whose Job the API server did not accept. The message may repeat values of the Job.
func (l *loop) newRefusedFailure(step string, why failureReason) *workflow.Failure {
	name := jobspec.JobName(l.spec.ID, step, l.state.nextAttempt(step, l.lease.Transitions()))
	f := &workflow.Failure{Step: step, Namespace: l.spec.Namespace, Job: name, End: workflow.End{Reason: why.reason}, Message: why.message}
	f.Advice = l.suggestAdmissionRemedy(f)
	f.HideSecrets(workflow.HideSecrets(l.spec.Graph, l.clients.RedisURL))
	return f
}

// refreshPods reads the pods of a step, because their watch may be behind the watch of the Jobs: after an outage both are opened again, in
// any order.
func (l *loop) refreshPods(ctx context.Context, step string) {
	var pods corev1.PodList
	if err := l.clients.Kube.List(ctx, &pods, l.spec.Namespace, l.spec.Ref().StepSelector(step)); err != nil {
		return // use what the watch has delivered
	}
	for i := range pods.Items {
		trimPod(&pods.Items[i])
		l.rememberPod(&pods.Items[i])
	}
}

// readWarnings returns the last warnings of a pod, which show why it could not be scheduled, pulled or started.
func (l *loop) readWarnings(ctx context.Context, pod string) []string {
	var events corev1.EventList
	if err := l.clients.Kube.Events(ctx, &events, l.spec.Namespace, pod); err != nil {
		return []string{"(not readable: " + err.Error() + ")"}
	}
	var lines []string
	for _, event := range events.Items {
		// A cluster without DNS has this warning for every pod, so it is not the reason.
		if event.Type == corev1.EventTypeWarning && event.Reason != "MissingClusterDNS" {
			lines = append(lines, event.Reason+": "+event.Message)
		}
	}
	return workflow.LastLines(lines, lastFew)
}

// readLog returns the end of the output of one of a step's pods: from Redis, where the agent keeps it after the pod is gone, but only for
// the last attempt; otherwise from the node.
func (l *loop) readLog(ctx context.Context, step string, end workflow.End, isLast bool) []string {
	var text []byte
	if isLast && !end.IsStagingIn() {
		name := step
		if end.Index != "" {
			name += "." + end.Index
		}
		text, _ = l.results.Files().Log(ctx, l.starts[step].keyOf(name)) // otherwise the node is asked
	}
	if len(text) == 0 && end.Pod != "" && end.Container != "" {
		text, _ = l.clients.Kube.Logs(ctx, l.spec.Namespace, end.Pod, end.Container, logLines) // a container that did not start has no log
	}
	if len(text) > logBytes {
		text = text[len(text)-logBytes:]
	}
	text = bytes.TrimRight(bytes.ToValidUTF8(text, []byte("�")), "\n")
	if len(text) == 0 {
		return nil
	}
	return workflow.LastLines(strings.Split(string(text), "\n"), logLines)
}

// diagnosed is the signal that the events of a pending pod, or of a Job without a pod, were read.
type diagnosed struct {
	step            string
	timer           podTimer // the one that has passed
	reason, message string   // empty if the events contain no reason
}

// diagnosisLimit is the number of concurrent requests for events.
const diagnosisLimit = 4

// startDiagnosis reads in the background, from the events, why a step has no pod, or why its pod does not start. The answer arrives as a
// signal, so a slow API server does not delay the loop. There is at most one request for each step.
func (l *loop) startDiagnosis(ctx context.Context, step string) {
	if l.diagnosing[step] {
		return
	}
	l.diagnosing[step] = true
	timer, name := l.timers[step], l.jobName(step)
	if pod := l.pods[step][timer.pod]; pod != nil {
		name = pod.Name
	}
	client, namespace, slots := l.clients.Kube, l.spec.Namespace, l.signals.slots
	l.signals.startSender(ctx, func(send func(any)) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		reason, message := FindBlockingEvent(ctx, client, namespace, name)
		<-slots
		send(diagnosed{step, timer, reason, message})
	})
}

// temporaryReasons are reasons of events that may pass without a change of the pod: a volume that another pod has, a node that an autoscaler
// has added and that has no network or driver yet, or that has no free addresses. The scheduling timeout holds for them.
var temporaryReasons = []string{"FailedAttachVolume", "FailedMount", "FailedCreatePodSandBox"}

// missingReference matches what the kubelet says about a Secret or ConfigMap that does not exist, or a missing key in it.
var missingReference = regexp.MustCompile(`(secret|configmap) "[^"]*" not found|references non-existent (secret|config) key`)

// handleDiagnosis handles the answer to a diagnosis, unless the pod has changed meanwhile.
func (l *loop) handleDiagnosis(ctx context.Context, d diagnosed) {
	delete(l.diagnosing, d.step)
	timer, found := l.timers[d.step]
	if !found || timer != d.timer {
		return
	}
	now, scheduling := time.Now(), l.spec.Timeouts.SchedulingOrDefault()
	l.freePods(ctx, d.step, d.message, now)
	isTemporary := slices.Contains(temporaryReasons, d.reason) && !missingReference.MatchString(d.message) || isQuotaRefusal(d.message)
	switch {
	case d.reason == "":
		timer.since = now // the pod is only slow
		if timer.pod != "" {
			l.lastMove = now
		}
	case isTemporary && timer.timeout < scheduling:
		timer.timeout = scheduling
	case mayFreeRoom(d.reason, d.message) && l.hasMoved(now, limitRoomWait(d.reason, scheduling)):
		timer.since = l.lastMove.Add(limitRoomWait(d.reason, scheduling) - timer.timeout)
	default:
		timer.reason, timer.message = d.reason, d.message
	}
	l.timers[d.step] = timer
}

// FindBlockingEvent returns the last event of a Job or a pod if that is the reason why the Job cannot create a pod, or the pod cannot start
// a container. It is empty while there is progress, such as the pull of a large image.
func FindBlockingEvent(ctx context.Context, client *kube.Client, namespace, name string) (reason, message string) {
	ctx, done := context.WithTimeout(ctx, optionalTimeout)
	defer done()
	var events corev1.EventList
	_ = client.Events(ctx, &events, namespace, name) // without an answer the events are read again later
	var last corev1.Event
	for _, event := range events.Items {
		if !event.LastTimestamp.Before(&last.LastTimestamp) {
			last = event
		}
	}
	if !slices.Contains(workflow.BlockingReasons, last.Reason) {
		return "", ""
	}
	return last.Reason, last.Message
}
