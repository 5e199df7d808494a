package workflow

import (
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
)

// End describes how one pod of a step ended, or why it does not start.
type End struct {
	Pod       string // empty if there was none
	Node      string
	Index     string // of a fan-out step
	Container string // the container that ended, or did not start
	Reason    string // Kubernetes' reason: Evicted, Error, OOMKilled, ImagePullBackOff, DeadlineExceeded, …
	Cause     string // Kubernetes' message about what ended the pod, if that was not its container: an eviction, a preemption, a shutdown of the node
	Code      int    // exit code of the container; 0 if it did not end by itself
	Agent     bool   // the exit code is the agent's, which has written a termination message
	Deleted   bool   // the pod was deleted
	Log       []string
}

// DescribePod returns the name of the pod, its index and its node.
func (e End) DescribePod() string {
	text := "pod " + e.Pod
	if e.Index != "" {
		text += fmt.Sprintf(" (index %s)", e.Index)
	}
	if e.Node != "" {
		text += " on node " + e.Node
	}
	return text
}

// IsStagingIn reports whether the command did not start because its files could not be staged in.
func (e End) IsStagingIn() bool {
	return e.Code != 0 && (e.Container == StageContainer || e.Agent && e.Code == agent.ExitStageIn) && !e.IsStop()
}

// IsStop reports whether the container was stopped from outside before its command had ended. The agent replaces these exit codes if the
// command returns them itself.
func (e End) IsStop() bool { return e.Code == agent.ExitStopped || e.Code == agent.ExitCancelled }

// DescribeEnd returns what happened to the pod.
func (e End) DescribeEnd() string {
	switch {
	case e.Cause != "" && e.Code != 0:
		return fmt.Sprintf("%s: %s (exit code %d)", e.Reason, e.Cause, e.Code)
	case e.Cause != "":
		return e.Reason + ": " + e.Cause
	case e.Container == StageContainer && e.Reason == ReasonOOMKilled:
		return fmt.Sprintf("the agent's init container was killed because it used more memory than its limit, before the command started (%s, exit code %d)", e.Reason, e.Code)
	case e.Code == agent.ExitCancelled:
		return fmt.Sprintf("it was stopped because the run was cancelled (exit code %d)", e.Code)
	case e.Code == agent.ExitStopped && e.Deleted:
		return fmt.Sprintf("it was stopped before its command had ended, because the pod was deleted (exit code %d)", e.Code)
	case e.Code == agent.ExitStopped:
		return fmt.Sprintf("it was stopped before its command had ended (exit code %d)", e.Code)
	case e.IsStagingIn():
		return fmt.Sprintf("its files could not be staged in (exit code %d)", e.Code)
	case e.Agent && e.Code == agent.ExitStageOut:
		return fmt.Sprintf("its files could not be stored (exit code %d)", e.Code)
	case e.Agent && e.Code == agent.ExitNoResult:
		return fmt.Sprintf("its package returned no usable result (exit code %d)", e.Code)
	case e.Code != 0 && e.Container != "" && e.Container != StepContainer && e.Container != StageContainer:
		return fmt.Sprintf("container %s, which is not part of the step but was added to its pod, failed with exit code %d (%s)", e.Container, e.Code, e.Reason)
	case e.Code != 0 && e.Deleted:
		return fmt.Sprintf("the command failed with exit code %d (%s) when the pod was deleted", e.Code, e.Reason)
	case e.Code != 0:
		return fmt.Sprintf("the command failed with exit code %d (%s)", e.Code, e.Reason)
	}
	return e.Reason
}
