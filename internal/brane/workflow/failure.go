package workflow

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
)

// What of a step's output and of its pod's events goes into a failure.
const (
	logLines = 20
	logBytes = 4 << 10
	lastFew  = 3
	askLimit = 10 * time.Second // for the log and the events, which are a help and not the matter itself
)

// Failure is why a step did not commit, with all that helps to see why.
type Failure struct {
	Step      string
	Namespace string
	Job       string
	Pod       string // empty where none was seen
	Container string // the container that ended, or did not start
	Node      string
	Reason    string // Kubernetes' own word: Error, OOMKilled, ImagePullBackOff, DeadlineExceeded, …
	Code      int    // exit code of the program; 0 where it did not end by itself
	Message   string // what Kubernetes says about it
	Events    []string
	Log       []string // the last lines
}

func (f *Failure) Error() string {
	return fmt.Sprintf("step %q: %s", f.Step, f.sentence())
}

// sentence says what happened in one sentence.
func (f *Failure) sentence() string {
	where := fmt.Sprintf("Job %s in namespace %s", f.Job, f.Namespace)
	if f.Pod != "" {
		where += ", pod " + f.Pod
	}
	if f.Node != "" {
		where += " on node " + f.Node
	}
	var what string
	switch {
	case f.Container == stageContainer && f.Code != 0:
		what = fmt.Sprintf("its files could not be staged in (exit code %d)", f.Code)
	case f.Code == agent.ExitStageIn:
		what = fmt.Sprintf("its files could not be staged in (exit code %d)", f.Code)
	case f.Code == agent.ExitStageOut:
		what = fmt.Sprintf("its files could not be stored (exit code %d)", f.Code)
	case f.Code == agent.ExitNoResult:
		what = fmt.Sprintf("its package gave no result that can be kept (exit code %d)", f.Code)
	case f.Code != 0:
		what = fmt.Sprintf("the program ended with exit code %d (%s)", f.Code, f.Reason)
	default:
		what = f.Reason
		if f.Message != "" {
			what += ": " + f.Message
		}
	}
	return where + ": " + what
}

// Detail is the failure for people: the sentence, the last events and lines, and how to see more.
func (f *Failure) Detail() string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(f.sentence(), ".") + ".\n") // some of Kubernetes' messages end in one
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			b.WriteString("\n" + title + "\n  " + strings.Join(lines, "\n  ") + "\n")
		}
	}
	section("Last lines:", f.Log)
	section("Last events:", f.Events)
	fmt.Fprintf(&b, "\n%s", f.hint())
	return b.String()
}

func (f *Failure) hint() string {
	see := fmt.Sprintf("kubectl -n %s describe job/%s", f.Namespace, f.Job)
	switch f.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		return "Correct the step's image, or see that the node can pull it: " + see
	case "Unschedulable":
		return "No node takes the pod: ask for less, or add a node: " + see
	case "DeadlineExceeded":
		return "Raise the step's timeout, or see why it takes so long: " + see
	case jobDeletedReason:
		return "Nobody knows how far its program had come. Apply again to run it anew."
	case "OOMKilled":
		return "The program needs more memory than its limit: " + see
	}
	return fmt.Sprintf("See everything: kubectl -n %s logs job/%s --all-containers", f.Namespace, f.Job)
}

// failure collects what is known of a step that failed. The reason is what ended it; the pod's containers may know better.
func (l *loop) failure(ctx context.Context, step string, why suspicion) *Failure {
	ctx, done := context.WithTimeout(ctx, askLimit)
	defer done()
	f := &Failure{Step: step, Namespace: l.Namespace, Job: l.jobName(step), Reason: why.reason, Message: why.message}
	if pod := l.pods[step]; pod != nil {
		f.Pod, f.Node = pod.Name, pod.Spec.NodeName
		f.readContainers(pod)
		f.Events = l.podEvents(ctx, pod.Name)
	}
	f.Log = l.log(ctx, f)
	return f
}

// readContainers takes over how the pod's containers ended; a Job only says that its pods failed.
func (f *Failure) readContainers(pod *corev1.Pod) {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 {
			f.Container = status.Name
			if f.Reason != batchv1.JobReasonDeadlineExceeded && f.Reason != jobDeletedReason { // by which the container was only stopped
				f.Code, f.Reason = int(ended.ExitCode), ended.Reason
			}
			return
		}
		if status.State.Waiting != nil && status.State.Waiting.Reason == f.Reason {
			f.Container = status.Name
		}
	}
}

// podEvents are the pod's last warnings, which say why it could not be scheduled, pulled or started.
func (l *loop) podEvents(ctx context.Context, pod string) []string {
	var events corev1.EventList
	if err := l.Kube.Events(ctx, &events, l.Namespace, pod); err != nil {
		return []string{"(not readable: " + err.Error() + ")"}
	}
	var lines []string
	for _, event := range events.Items {
		// A cluster without a DNS of its own says so for every pod: it is no reason why this one failed.
		if event.Type == corev1.EventTypeWarning && event.Reason != "MissingClusterDNS" {
			lines = append(lines, event.Reason+": "+event.Message)
		}
	}
	return tail(lines, lastFew)
}

// log is the end of the step's output: as the agent kept it in Redis, which outlives the pod, else as the node has it.
func (l *loop) log(ctx context.Context, f *Failure) []string {
	var text []byte
	if f.Container != stageContainer {
		text, _ = l.store.Log(ctx, f.Step) // without it the node is asked
	}
	if len(text) == 0 && f.Pod != "" && f.Container != "" {
		text, _ = l.Kube.Logs(ctx, l.Namespace, f.Pod, f.Container, logLines) // a container that did not start has none
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
