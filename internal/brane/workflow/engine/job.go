package engine

import (
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// podLabels returns the labels of all Jobs and Pods of a component, which is step or engine: Kubernetes' recommended ones and the run's.
func (r *Run) podLabels(component string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      "brane-" + component,
		"app.kubernetes.io/instance":  r.ID,
		"app.kubernetes.io/component": component,
		"app.kubernetes.io/part-of":   "brane",
		managedByLabel:                kube.FieldManager,
		workflow.RunLabel:             r.ID,
	}
}

// jobName returns the name of the Job of one attempt, with room for an index.
func jobName(run, step string, attempt int) string {
	return workflow.LimitName(workflow.MaxIndexedName, "brane", run, step, strconv.Itoa(attempt))
}

// keepJobs is how long a finished Job is kept for inspection if the run is not destroyed.
const keepJobs int32 = 7 * 24 * 60 * 60

// job returns the Job of one step. The main container starts the agent, which runs the command and stores its files; delivery.go describes how the agent and the files
// get into the pod.
//
// If the Job is created early, its agent waits for the needs. nothing reports whether a step has ended without files or will never start; such a step is skipped.
//
// The attempt is part of the name, because a Job that has the name of an earlier, failed Job can inherit its back-off.
func (r *Run) job(step workflow.Step, attempt int, ahead bool, nothing func(step string) bool, owner metav1.OwnerReference) (*batchv1.Job, error) {
	told := r.Graph.AgentSpec(step, nothing)
	told.Run, told.Attempt, told.Deadline, told.Ahead = r.ID, attempt, r.deadline.Unix(), ahead
	spec, err := told.Encode()
	if err != nil {
		return nil, err
	}
	labels := r.podLabels("step")
	labels[workflow.StepLabel], labels[workflow.AttemptLabel] = step.Name, strconv.Itoa(attempt)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: r.Namespace, Name: jobName(r.ID, step.Name, attempt), Labels: labels, OwnerReferences: []metav1.OwnerReference{owner},
	}}
	job.Spec = batchv1.JobSpec{
		BackoffLimit:            new(step.Retries),
		TTLSecondsAfterFinished: new(keepJobs),
		PodFailurePolicy:        failurePolicy(step),
		PodReplacementPolicy:    new(batchv1.Failed), // never two pods of a step at the same time
		Template:                corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: r.pod(step, spec)},
	}
	if step.IsIndexed() {
		spread(&job.Spec, step)
	}
	if step.Timeout > 0 {
		job.Spec.ActiveDeadlineSeconds = new(int64(step.Timeout.Seconds()))
	}
	return job, nil
}

// spread makes a Job an Indexed Job.
func spread(spec *batchv1.JobSpec, step workflow.Step) {
	many := int32(step.Completions) //nolint:gosec // at most maxMany
	spec.CompletionMode = new(batchv1.IndexedCompletion)
	spec.Completions, spec.Parallelism = &many, &many
	if step.Parallel > 0 {
		spec.Parallelism = new(min(step.Parallel, many))
	}
	spec.BackoffLimit, spec.BackoffLimitPerIndex = nil, new(step.Retries)
	spec.MaxFailedIndexes = new(min(step.MaxFailedIndexes, many))
}

// failurePolicy returns what the Job controller does about a failed pod. A pod that was stopped from outside is replaced and does not count as a failed one: by a
// drain or a preemption, which Kubernetes marks, or by anything else, which the agent's exit code shows. In a cancelled run there is nothing to replace.
// Failures of staging count like any other; if nothing is retried, all others end the Job without the controller's back-off.
func failurePolicy(step workflow.Step) *batchv1.PodFailurePolicy {
	onExit := func(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
		}}
	}
	policy := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		onExit(batchv1.PodFailurePolicyActionFailJob, agent.ExitCancelled),
		{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		},
		onExit(batchv1.PodFailurePolicyActionIgnore, agent.ExitStopped),
		onExit(batchv1.PodFailurePolicyActionCount, agent.ExitStageIn, agent.ExitStageOut),
	}}
	if step.Retries == 0 {
		action := batchv1.PodFailurePolicyActionFailJob
		if step.IsIndexed() {
			action = batchv1.PodFailurePolicyActionFailIndex
		}
		policy.Rules = append(policy.Rules, batchv1.PodFailurePolicyRule{
			Action: action,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				ContainerName: new(workflow.StepContainer), Operator: batchv1.PodFailurePolicyOnExitCodesOpNotIn, Values: []int32{0},
			},
		})
	}
	return policy
}
