package workflow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DetailLimit is the size of the text of a failure: at most 8 KiB, including its title and the number of steps that did not run.
const DetailLimit = 8<<10 - 256

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
	return fmt.Sprintf("step %q: %s", f.Step, f.describeFailure())
}

// describeFailure returns what happened in one sentence.
func (f *Failure) describeFailure() string {
	where := fmt.Sprintf("Job %s in namespace %s", f.Job, f.Namespace)
	if f.Pod != "" {
		where += ", " + f.DescribePod()
	}
	what := f.DescribeEnd()
	if f.Code == 0 && f.Message != "" {
		what += ": " + f.Message
	}
	return where + ": " + what
}

// Detail returns the text of a diagnostic: the sentence, the last events and lines, and how to see more.
func (f *Failure) Detail() string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(f.describeFailure(), ".") + ".\n") // some of Kubernetes' messages end with a period
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			b.WriteString("\n" + title + "\n  " + strings.Join(lines, "\n  ") + "\n")
		}
	}
	section("Last lines:", f.Log)
	section("Last events:", f.Events)
	for _, end := range f.Earlier {
		section(fmt.Sprintf("Before, %s: %s", end.DescribePod(), end.DescribeEnd()), end.Log)
		if len(end.Log) == 0 {
			fmt.Fprintf(&b, "\nBefore, %s: %s\n", end.DescribePod(), end.DescribeEnd())
		}
	}
	if f.More > 0 {
		fmt.Fprintf(&b, "\nAnd %d more pods failed.\n", f.More)
	}
	hint := "\n" + f.describeRemedy()
	return Shorten(b.String(), DetailLimit-len(hint)) + hint
}

func (f *Failure) describeRemedy() string {
	see := fmt.Sprintf("kubectl -n %s describe job/%s", f.Namespace, f.Job)
	if f.Advice != "" {
		return f.Advice + ": " + see
	}
	if slices.Contains(BlockingReasons, f.Reason) {
		return "Correct what the message names, or ask for it to be created or allowed: " + see
	}
	switch f.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		return "Correct the step's image, or make sure that the node can pull it: " + see
	case "Unschedulable":
		return "No node fits the pod: request less, or add a node: " + see
	case "DeadlineExceeded":
		return "Raise the step's timeout, or find out why it takes so long: " + see
	case ReasonFilesConflict:
		return "Let each index write to different paths, for example with BRANE_INDEX in the name: another command starts a new run. If the command stays the same, change a value in triggers, because the files that the indexes of this run have stored are not replaced."
	case ReasonJobDeleted:
		return "How far its command had come is not known. Apply again to run the step again."
	case "OOMKilled":
		return "The command needs more memory than its limit: " + see
	}
	return fmt.Sprintf("See everything: kubectl -n %s logs job/%s --all-containers", f.Namespace, f.Job)
}

// LastLines returns the last n lines.
func LastLines(lines []string, n int) []string {
	return lines[max(0, len(lines)-n):]
}

// Shorten returns the text, or as many complete lines from its beginning as fit.
func Shorten(text string, size int) string {
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

// Reasons of this package, in addition to those of Kubernetes.
const (
	ReasonJobDeleted    = "JobDeleted"
	ReasonFilesConflict = "FilesConflict" // the indexes of a step have committed files that cannot be merged
)

// ReasonFailedCreate is the reason of a Job's event that it could not create a pod.
const ReasonFailedCreate = "FailedCreate"

// BlockingReasons are the reasons of events that a Job cannot create a pod, or a pod cannot start a container.
var BlockingReasons = []string{ReasonFailedCreate, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}
