package engine

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/denial"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// suggestRemedy returns what to do about a failure if that depends on how the agent gets into the pods; empty otherwise.
func suggestRemedy(f *workflow.Failure, agentImage string, injection workflow.AgentInjection) string {
	switch f.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		if f.Container == workflow.StageContainer || strings.Contains(f.Message, agentImage) {
			return "Correct agent_image of the provider, or make sure that the node can pull it: " + f.InspectCommand()
		}
	case "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun":
		if injection == workflow.InjectImageVolume {
			return "Where the cluster cannot mount image volumes (Kubernetes 1.35, and containerd 2.1 or CRI-O 1.31 on its nodes, can), " +
				"set agent_injection = \"init_container\": " + f.InspectCommand()
		}
	}
	return ""
}

// suggestAdmissionRemedy returns what to do if the Job of a step, or its pods, were denied; empty if that is not known.
func (l *loop) suggestAdmissionRemedy(f *workflow.Failure) string {
	if f.Reason != workflow.ReasonFailedCreate && f.Reason != workflow.ReasonJobRefused {
		return ""
	}
	denied, isDenied := denial.Parse(f.Message)
	if !isDenied {
		return ""
	}
	text := denied.Remedy(l.spec.Namespace)
	switch denied.Cause {
	case denial.LimitRange:
		if job, err := l.buildJob(f.Step, l.state.latestAttempt(f.Step)); err == nil && isOnlyOfInitContainer(job, denied.Bounds) {
			text = "The denied container is the agent's init container, which copies the agent into the pod and needs up to 128Mi of memory. " +
				"Raise resources.limits.memory of the step or limit_range.max of brane_namespace to that, or set agent_injection = " +
				"\"image_volume\": then there is no such container. " + text
		}
	case denial.Quota:
		if l.options.Holder.Engine != "" {
			text += " The engine of this run (wait = false) is a pod of the namespace too, and uses a part of the quota; with wait = true " +
				"there is none."
		}
	case denial.Policy, denial.Webhook, denial.Other:
		text += " Labels, annotations, security_context and pod_patch of the step, of defaults or of the run change its pods."
		if l.injection == workflow.InjectImageVolume {
			text += " If image volumes are not allowed, set agent_injection = \"init_container\"."
		}
	default: // says all
	}
	return text
}

// isOnlyOfInitContainer reports whether the values that a LimitRange has denied are those of the agent's init container, and of no other.
func isOnlyOfInitContainer(job *batchv1.Job, bounds []denial.Bound) bool {
	hasValue := func(containers []corev1.Container, bound denial.Bound) bool {
		return slices.ContainsFunc(containers, func(container corev1.Container) bool {
			list := container.Resources.Limits
			if bound.Field == "request" {
				list = container.Resources.Requests
			}
			quantity, found := list[corev1.ResourceName(bound.Resource)]
			return found && fmt.Sprint(&quantity) == bound.Value
		})
	}
	pod := job.Spec.Template.Spec
	return slices.ContainsFunc(bounds, func(bound denial.Bound) bool {
		return hasValue(pod.InitContainers, bound) && !hasValue(pod.Containers, bound)
	})
}
