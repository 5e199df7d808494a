package engine

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// A pod of a fan-out step takes less than 1 KiB, whatever its step, its node and webhooks have added to it.
func TestTrimmedPodIsSmall(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: strings.Repeat("n", 63), Name: strings.Repeat("p", 63), UID: "1b4e28ba-2fa1-11d2-883f-0016d3cca427", ResourceVersion: "123456789",
			Labels: map[string]string{
				workflow.StepLabel: strings.Repeat("s", 40), workflow.AttemptLabel: "1", batchv1.JobCompletionIndexAnnotation: "9999", "example.com/team": strings.Repeat("x", 63),
			},
			Annotations: map[string]string{"example.com/note": long}, ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(long)}},
		},
		Spec: corev1.PodSpec{
			NodeName: "node-1.example.com", InitContainers: []corev1.Container{{Name: workflow.StageContainer, Env: []corev1.EnvVar{{Name: "ITEMS", Value: long}}}},
			Containers: []corev1.Container{{Name: workflow.StepContainer, Image: long}, {Name: "sidecar"}},
			Volumes: []corev1.Volume{
				{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "claim", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "models"}}},
			},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, Message: long}, {Type: corev1.PodReady, Message: long}},
			InitContainerStatuses: []corev1.ContainerStatus{{Name: workflow.StageContainer, ImageID: long, State: state}},
			ContainerStatuses:     []corev1.ContainerStatus{{Name: workflow.StepContainer, ImageID: long, State: state}, {Name: "sidecar", ImageID: long, State: state}},
		},
	}
	trimPod(pod)
	if size := pod.Size(); size >= 1024 {
		t.Errorf("it has %d bytes:\n%s", size, pod)
	}
	if pod.Labels[workflow.StepLabel] == "" || pod.Spec.NodeName == "" || !hasStepStarted(pod) || !hasClassicSidecar(pod) || hasAllResources(&corev1.Pod{Spec: pod.Spec, Status: corev1.PodStatus{Phase: corev1.PodPending}}) {
		t.Errorf("it lacks what the loop uses:\n%s", pod)
	}
}

// A Job of a run takes less than 1 KiB, whatever its template contains.
func TestTrimmedJobIsSmall(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "brane", Name: strings.Repeat("j", 63), Labels: map[string]string{workflow.StepLabel: "step", workflow.AttemptLabel: "2", "example.com/team": strings.Repeat("x", 63)},
			Annotations: map[string]string{"example.com/note": long}, ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(long)}},
		},
		Spec: batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: long}}}}},
		Status: batchv1.JobStatus{
			Conditions:    []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonFailedIndexes}},
			FailedIndexes: new("1,3-5"), UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{types.UID(long)}},
		},
	}
	trimJob(job)
	if size := job.Size(); size >= 1024 {
		t.Errorf("it has %d bytes:\n%s", size, job)
	}
	condition, isFailed := FindJobFailure(job)
	if !isFailed || condition.Reason != batchv1.JobReasonFailedIndexes || *job.Status.FailedIndexes != "1,3-5" || DescribeSuspension(job) == "" || keyOfJob(job) != (attemptKey{"step", 2}) {
		t.Errorf("it lacks what the loop uses:\n%s", job)
	}
}
