package engine

import (
	"bytes"
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Limits for the output and the events that a failure contains.
const (
	logLines = 20
	logBytes = 4 << 10
	lastFew  = 3
	askLimit = 10 * time.Second // for the logs and the events, which are optional
)

// failure collects what is known about a failed step. The status of its containers may be more precise than the reason of the Job.
func (l *loop) failure(ctx context.Context, step string, why suspicion) *workflow.Failure {
	ctx, done := context.WithTimeout(ctx, askLimit)
	defer done()
	l.refreshPods(ctx, step)
	f := &workflow.Failure{Step: step, Namespace: l.Namespace, Job: l.jobName(step), End: workflow.End{Reason: why.reason}, Message: why.message}
	for i, pod := range l.badPods(step, why.reason) {
		end := endOf(pod, why.reason)
		if i == 0 {
			f.Started, f.Ended = l.ran(step, pod)
		}
		switch {
		case i == 0 && why.reason != workflow.ReasonFailedCreate: // otherwise the reason is a pod that could not be created
			f.End = end
			f.Events = l.podEvents(ctx, pod.Name)
		case len(f.Earlier) < lastFew:
			end.Log = workflow.LastLines(l.log(ctx, step, end, false), logLines/2)
			f.Earlier = append(f.Earlier, end)
		default:
			f.More++
		}
	}
	f.Log, f.Advice = l.log(ctx, step, f.End, true), l.advice(f)
	f.HideSecrets(workflow.HideSecrets(l.Graph, l.RedisURL))
	return f
}

// refreshPods reads the pods of a step, because their watch may be behind the watch of the Jobs: after an outage both are opened again, in any order.
func (l *loop) refreshPods(ctx context.Context, step string) {
	var pods corev1.PodList
	if err := l.Kube.List(ctx, &pods, l.Namespace, workflow.RunLabel+"="+l.ID+","+workflow.StepLabel+"="+step); err != nil {
		return // use what the watch has delivered
	}
	for i := range pods.Items {
		l.remember(&pods.Items[i])
	}
}

// podEvents returns the last warnings of a pod, which show why it could not be scheduled, pulled or started.
func (l *loop) podEvents(ctx context.Context, pod string) []string {
	var events corev1.EventList
	if err := l.Kube.Events(ctx, &events, l.Namespace, pod); err != nil {
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

// log returns the end of the output of one of a step's pods: from Redis, where the agent keeps it after the pod is gone, but only for the last attempt; otherwise
// from the node.
func (l *loop) log(ctx context.Context, step string, end workflow.End, last bool) []string {
	var text []byte
	if last && !end.IsStagingIn() {
		name := step
		if end.Index != "" {
			name += "." + end.Index
		}
		text, _ = l.store.Log(ctx, name) // otherwise the node is asked
	}
	if len(text) == 0 && end.Pod != "" && end.Container != "" {
		text, _ = l.Kube.Logs(ctx, l.Namespace, end.Pod, end.Container, logLines) // a container that did not start has no log
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
