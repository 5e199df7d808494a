package workflow

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Limits for the output and the events that a failure contains.
const (
	logLines    = 20
	logBytes    = 4 << 10
	lastFew     = 3
	detailBytes = 8<<10 - 256      // a failure has at most 8 KiB, including its title and the number of steps that did not run
	askLimit    = 10 * time.Second // for the logs and the events, which are optional
)

// Failure describes why a step did not commit, with its last output and events.
type Failure struct {
	Step      string
	Namespace string
	Job       string
	End                 // of the last of its pods that failed; if there was none, the reason of the Job
	Started   time.Time // of the command, according to the node; of a fan-out step, the first start of its latest attempt
	Ended     time.Time // likewise, the last end end
	Message   string    // Kubernetes' message
	Events    []string  // the last events of the pod
	Earlier   []End     // of other pods: earlier attempts, or other indexes
	More      int       // number of other failed pods
	Advice    string    // what to do, if that does not follow from the reason
}

func (f *Failure) Error() string {
	return fmt.Sprintf("step %q: %s", f.Step, f.sentence())
}

// sentence returns what happened in one sentence.
func (f *Failure) sentence() string {
	where := fmt.Sprintf("Job %s in namespace %s", f.Job, f.Namespace)
	if f.Pod != "" {
		where += ", " + f.where()
	}
	what := f.what()
	if f.Code == 0 && f.Message != "" {
		what += ": " + f.Message
	}
	return where + ": " + what
}

// Detail returns the text of a diagnostic: the sentence, the last events and lines, and how to see more.
func (f *Failure) Detail() string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(f.sentence(), ".") + ".\n") // some of Kubernetes' messages end with a period
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			b.WriteString("\n" + title + "\n  " + strings.Join(lines, "\n  ") + "\n")
		}
	}
	section("Last lines:", f.Log)
	section("Last events:", f.Events)
	for _, end := range f.Earlier {
		section(fmt.Sprintf("Before, %s: %s", end.where(), end.what()), end.Log)
		if len(end.Log) == 0 {
			fmt.Fprintf(&b, "\nBefore, %s: %s\n", end.where(), end.what())
		}
	}
	if f.More > 0 {
		fmt.Fprintf(&b, "\nAnd %d more pods failed.\n", f.More)
	}
	hint := "\n" + f.hint()
	return bounded(b.String(), detailBytes-len(hint)) + hint
}

func (f *Failure) hint() string {
	see := fmt.Sprintf("kubectl -n %s describe job/%s", f.Namespace, f.Job)
	if f.Advice != "" {
		return f.Advice + ": " + see
	}
	if slices.Contains(hindrances, f.Reason) {
		return "Correct what the message names, or ask for it to be created or allowed: " + see
	}
	switch f.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		return "Correct the step's image, or make sure that the node can pull it: " + see
	case "Unschedulable":
		return "No node fits the pod: request less, or add a node: " + see
	case "DeadlineExceeded":
		return "Raise the step's timeout, or find out why it takes so long: " + see
	case conflictReason:
		return "Let each index write to different paths, for example with BRANE_INDEX in the name: another command starts a new run. If the command stays the same, change a value in triggers, because the files that the indexes of this run have stored are not replaced."
	case jobDeletedReason:
		return "How far its command had come is not known. Apply again to run the step again."
	case "OOMKilled":
		return "The command needs more memory than its limit: " + see
	}
	return fmt.Sprintf("See everything: kubectl -n %s logs job/%s --all-containers", f.Namespace, f.Job)
}

// failure collects what is known about a failed step. The status of its containers may be more precise than the reason of the Job.
func (l *loop) failure(ctx context.Context, step string, why suspicion) *Failure {
	ctx, done := context.WithTimeout(ctx, askLimit)
	defer done()
	l.refreshPods(ctx, step)
	f := &Failure{Step: step, Namespace: l.Namespace, Job: l.jobName(step), End: End{Reason: why.reason}, Message: why.message}
	for i, pod := range l.badPods(step, why.reason) {
		end := endOf(pod, why.reason)
		if i == 0 {
			f.Started, f.Ended = l.ran(step, pod)
		}
		switch {
		case i == 0 && why.reason != noPodReason: // otherwise the reason is a pod that could not be created
			f.End = end
			f.Events = l.podEvents(ctx, pod.Name)
		case len(f.Earlier) < lastFew:
			end.Log = tail(l.log(ctx, step, end, false), logLines/2)
			f.Earlier = append(f.Earlier, end)
		default:
			f.More++
		}
	}
	f.Log, f.Advice = l.log(ctx, step, f.End, true), l.advice(f)
	f.hide(l.Hide())
	return f
}

// refreshPods reads the pods of a step, because their watch may be behind the watch of the Jobs: after an outage both are opened again, in any order.
func (l *loop) refreshPods(ctx context.Context, step string) {
	var pods corev1.PodList
	if err := l.Kube.List(ctx, &pods, l.Namespace, RunLabel+"="+l.ID+","+StepLabel+"="+step); err != nil {
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
	return tail(lines, lastFew)
}

// log returns the end of the output of one of a step's pods: from Redis, where the agent keeps it after the pod is gone, but only for the last attempt; otherwise
// from the node.
func (l *loop) log(ctx context.Context, step string, end End, last bool) []string {
	var text []byte
	if last && !end.stagingIn() {
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
	return tail(strings.Split(string(text), "\n"), logLines)
}

func tail(lines []string, n int) []string {
	return lines[max(0, len(lines)-n):]
}

// bounded returns the text, or as many complete lines from its beginning as fit.
func bounded(text string, size int) string {
	const cut = "\n(shortened)\n"
	if len(text) <= size {
		return text
	}
	text = text[:size-len(cut)]
	if end := strings.LastIndexByte(text, '\n'); end > 0 {
		text = text[:end]
	}
	return strings.ToValidUTF8(text, "") + cut
}
