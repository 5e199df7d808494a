package workflow

import (
	"fmt"
	"regexp"
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
	Job       string    // empty if there was none, because the files of its needs conflict
	End                 // of the last of its pods that failed; if there was none, the reason of the Job
	Started   time.Time // of the command, according to the node; of a fan-out step, the first start of its latest attempt
	Ended     time.Time // likewise, the last end end
	Message   string    // Kubernetes' message
	Events    []string  // the last events of the pod
	Earlier   []End     // of other pods: earlier attempts, or other indexes
	More      int       // number of other failed pods
	Advice    string    // what to do, if that does not follow from the reason
	IsAllowed bool      // the run can succeed nevertheless
	// Record and Term are the UID of the run's record and the term of its lease in which a failure that is not allowed was stored; empty for one that is allowed.
	Record string `json:",omitempty"`
	Term   int    `json:",omitempty"`
}

func (f *Failure) Error() string {
	return fmt.Sprintf("step %q: %s", f.Step, f.describeFailure())
}

// describeFailure returns what happened in one sentence.
func (f *Failure) describeFailure() string {
	if f.Job == "" {
		return f.Message
	}
	where := fmt.Sprintf("Job %s in namespace %s", f.Job, f.Namespace)
	if f.Pod != "" {
		where += ", " + f.DescribePod()
	}
	what := f.DescribeEnd()
	if f.Code == 0 && f.Cause == "" && f.Message != "" {
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

// InspectCommand returns the command that shows the Job.
func (f *Failure) InspectCommand() string {
	return fmt.Sprintf("kubectl -n %s describe job/%s", f.Namespace, f.Job)
}

func (f *Failure) describeRemedy() string {
	if f.Advice != "" {
		return f.Advice
	}
	if f.Job == "" {
		return "Add one of the steps to needs of the other, or write to different paths."
	}
	see := f.InspectCommand()
	if slices.Contains(BlockingReasons, f.Reason) {
		return "Correct what the message names, or ask for it to be created or allowed: " + see
	}
	switch f.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		return "Correct the step's image, or make sure that the node can pull it: " + see
	case "Unschedulable":
		return DescribeUnfitNodes(f.Message, "the step") + ": " + see + f.describeRerun()
	case "DeadlineExceeded":
		return "Raise the step's timeout, or find out why it takes so long: " + see + f.describeRerun()
	case ReasonFilesConflict:
		return "Let each index write to different paths, for example with BRANE_INDEX in the name: another command runs the indexes again. If the " +
			"command stays the same, change a value in triggers of the step, because the files that its indexes have stored are not replaced."
	case ReasonJobRefused:
		return "Correct what the message names, in the attributes of the step, of defaults or of the run." + f.describeRerun()
	case ReasonJobDeleted:
		return "How far its command had come is not known. Apply again to run the step again."
	case ReasonEvicted:
		return f.describeEvictionRemedy()
	case ReasonOOMKilled:
		if f.Container == StageContainer {
			return "This container has the limit of the step, or the default of the namespace. Set resources.limits.memory of the step to 64Mi " +
				"at least: " + see + f.describeRerun()
		}
		return "The command needs more memory than its limit: " + see + f.describeRerun()
	}
	if f.Cause != "" {
		return "The node ended the pod; that is no failure of the command. Apply again to run the step again: " + see
	}
	return fmt.Sprintf("See everything: kubectl -n %s logs job/%s --all-containers", f.Namespace, f.Job)
}

// DescribeUnfitNodes returns what to do about a pod that no node fits, by the message of the scheduler. The attributes are those of owner, or defaults.
func DescribeUnfitNodes(message, owner string) string {
	var ways []string
	for _, way := range []struct{ words, attributes string }{
		{"untolerated taint", "set tolerations"}, {"node affinity/selector", "change node_selector or affinity"}, {"Insufficient", "request less"},
	} {
		if strings.Contains(message, way.words) {
			ways = append(ways, way.attributes)
		}
	}
	if len(ways) == 0 {
		ways = []string{"request less"}
	}
	return "No node fits the pod: " + strings.Join(ways, ", ") + " (of " + owner + " or of defaults), or add a node"
}

// describeRerun returns what runs after a change of resources, timeouts or nodes.
func (f *Failure) describeRerun() string {
	switch {
	case f.IsAllowed:
		return "\nThe failure is allowed, so it is the result of the step: to run the step again, also change a value in its triggers."
	case f.Index != "":
		return "\nAfter such a change, only the indexes that have not completed run, and the steps that need this one."
	}
	return "\nAfter such a change, only this step and those that need it run."
}

var (
	fullVolume = regexp.MustCompile(`EmptyDir volume "([^"]*)"`)
	scarceNode = regexp.MustCompile(`low on resource: ([a-z-]+)`)
)

// describeEvictionRemedy returns what to do about an eviction. The messages are those of the kubelet's eviction manager.
func (f *Failure) describeEvictionRemedy() string {
	if volume := fullVolume.FindStringSubmatch(f.Cause); volume != nil {
		if volume[1] == DataVolume {
			return "Raise data_size_limit of the step, or write less to /data." + f.describeRerun()
		}
		return fmt.Sprintf("Raise empty_dir.size_limit of volumes[%q], or write less to it.", volume[1]) + f.describeRerun()
	}
	if strings.Contains(f.Cause, "ephemeral") && !strings.Contains(f.Cause, "low on resource") {
		return "Raise resources.limits[\"ephemeral-storage\"] of the step, or write less: files in /data, in the container and in its log count." + f.describeRerun()
	}
	if scarce := scarceNode.FindStringSubmatch(f.Cause); scarce != nil {
		return fmt.Sprintf("The node ran out of %s. Set resources.requests[%q] of the step to what it needs, so that it gets a node that "+
			"has it; data_size_limit limits the size of /data.", scarce[1], scarce[1]) + f.describeRerun()
	}
	return fmt.Sprintf("See what the node is short of: kubectl describe node %s", f.Node)
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
	ReasonJobRefused    = "JobRefused"    // the API server did not accept the Job
	ReasonFilesConflict = "FilesConflict" // the indexes of a step have committed files that cannot be merged
)

// Reasons of Kubernetes.
const (
	ReasonEvicted   = "Evicted"
	ReasonOOMKilled = "OOMKilled"
)

// ReasonFailedCreate is the reason of a Job's event that it could not create a pod.
const ReasonFailedCreate = "FailedCreate"

// BlockingReasons are the reasons of events that a Job cannot create a pod, or a pod cannot start a container.
var BlockingReasons = []string{ReasonFailedCreate, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}
