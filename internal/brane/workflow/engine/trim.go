package engine

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// trimPod removes from a pod what the loop does not use. It keeps all pods of a run, and of a fan-out step there are thousands.
func trimPod(pod *corev1.Pod) {
	pod.ObjectMeta = metav1.ObjectMeta{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion, Labels: trimLabels(pod.Labels), CreationTimestamp: pod.CreationTimestamp,
		DeletionTimestamp: pod.DeletionTimestamp, DeletionGracePeriodSeconds: pod.DeletionGracePeriodSeconds,
	}
	pod.Spec = corev1.PodSpec{
		NodeName: pod.Spec.NodeName, SchedulingGates: pod.Spec.SchedulingGates, InitContainers: trimContainers(pod.Spec.InitContainers),
		Containers: trimContainers(pod.Spec.Containers), Volumes: trimVolumes(pod.Spec.Volumes),
	}
	pod.Status = corev1.PodStatus{
		Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message, Conditions: trimConditions(pod.Status.Conditions),
		InitContainerStatuses: trimStatuses(pod.Status.InitContainerStatuses), ContainerStatuses: trimStatuses(pod.Status.ContainerStatuses),
	}
}

// trimJob removes from a Job what the loop does not use of one that is watched. Its template contains everything that the agents know about
// the step, and a graph may have thousands of Jobs.
func trimJob(job *batchv1.Job) {
	job.ObjectMeta = metav1.ObjectMeta{
		Namespace: job.Namespace, Name: job.Name, UID: job.UID, ResourceVersion: job.ResourceVersion, DeletionTimestamp: job.DeletionTimestamp,
		Labels: trimLabels(job.Labels),
	}
	job.Spec = batchv1.JobSpec{Parallelism: job.Spec.Parallelism, Completions: job.Spec.Completions, Suspend: job.Spec.Suspend}
	job.Status.UncountedTerminatedPods = nil
}

// trimLabels keeps the labels that the loop uses.
func trimLabels(labels map[string]string) map[string]string {
	trimmed := map[string]string{}
	for _, key := range []string{workflow.StepLabel, workflow.AttemptLabel, workflow.EngineLabel, batchv1.JobCompletionIndexAnnotation} {
		if value, found := labels[key]; found {
			trimmed[key] = value
		}
	}
	return trimmed
}

// trimContainers keeps the names of containers.
func trimContainers(containers []corev1.Container) []corev1.Container {
	trimmed := make([]corev1.Container, len(containers))
	for i := range containers {
		trimmed[i].Name = containers[i].Name
	}
	return trimmed
}

// trimVolumes keeps the volumes that are attached to a node.
func trimVolumes(volumes []corev1.Volume) (trimmed []corev1.Volume) {
	for i := range volumes {
		if isAttached(&volumes[i]) {
			trimmed = append(trimmed, volumes[i])
		}
	}
	return trimmed
}

// trimConditions keeps the conditions that show why a pod does not start, or was ended.
func trimConditions(conditions []corev1.PodCondition) (trimmed []corev1.PodCondition) {
	for _, condition := range conditions {
		if condition.Type == corev1.DisruptionTarget || condition.Type == corev1.PodScheduled && condition.Status != corev1.ConditionTrue {
			trimmed = append(trimmed, condition)
		}
	}
	return trimmed
}

// trimStatuses keeps the current states of containers.
func trimStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	trimmed := make([]corev1.ContainerStatus, len(statuses))
	for i := range statuses {
		trimmed[i] = corev1.ContainerStatus{Name: statuses[i].Name, State: statuses[i].State}
	}
	return trimmed
}
