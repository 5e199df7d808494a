// Package jobspec builds the Jobs of a run. Its functions are pure: the same values result in the same Job, and nothing is read or sent.
package jobspec

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Template is what the Jobs of one execution of a run have in common.
type Template struct {
	Spec      *workflow.Spec
	Injection workflow.AgentInjection // InjectInitContainer or InjectImageVolume
	Deadline  time.Time               // of the run's keys in Redis
	Owner     metav1.OwnerReference   // the run's record
	Policies  Policies                // of the namespace
	Secrets   Secrets
}

// Secrets are the names of the Secrets of the pods.
type Secrets struct {
	Access string // with the Redis credential
	Env    string // with the steps' secret environment
}

// Attempt is one Job of a step.
type Attempt struct {
	Number  int
	Term    int   // of the run's lease
	Indexes []int // those of a fan-out step that run, ascending; empty means all
	Start   Start // of a step whose needs have ended
	// Needs are the fingerprints of the needs, if the Job is created before they have ended: its agent waits for them.
	Needs map[string]files.Fingerprint
}

// Start is what a step starts with.
type Start struct {
	Layer files.Layer // its files
	Seen  string      // the second part of its fingerprint
}

// ErrTooManyNeeds means that a Job cannot be created before the needs of its step have ended, because the names of all steps before it do not fit into
// one variable.
var ErrTooManyNeeds = errors.New("the step has too many direct and indirect needs to be created early")

// JobName returns the name of the Job of one attempt, with room for an index.
func JobName(run, step string, attempt int) string {
	return workflow.LimitName(workflow.MaxIndexedName, "brane", run, step, strconv.Itoa(attempt))
}

// keepSeconds is how long a finished Job is kept for inspection if the run is not destroyed.
const keepSeconds int32 = 7 * 24 * 60 * 60

// BuildStepJob returns the Job of one attempt of a step. The main container starts the agent, which runs the command and stores its files;
// inject.go describes how the agent and the files get into the pod.
//
// The attempt is part of the name, because a Job that has the name of an earlier, failed Job can inherit its back-off.
func (t Template) BuildStepJob(step workflow.Step, attempt Attempt) (*batchv1.Job, error) {
	agentSpec := t.Spec.Graph.AgentSpec(step)
	agentSpec.Run, agentSpec.Attempt, agentSpec.Term = t.Spec.ID, attempt.Number, attempt.Term
	agentSpec.Version, agentSpec.Connections = t.Spec.Version, t.Spec.PodConnections
	agentSpec.Deadline, agentSpec.Layer, agentSpec.Seen = t.Deadline.Unix(), attempt.Start.Layer, attempt.Start.Seen
	if attempt.Needs != nil {
		agentSpec.Ahead, agentSpec.Fingerprints = true, attempt.Needs
		agentSpec.Needs = t.Spec.Graph.Ancestry(step.Name, func(string) bool { return false }) // only steps whose needs all have files are prewarmed
	}
	if len(attempt.Indexes) > 0 {
		agentSpec.Indexes = agent.NewIndexSet(attempt.Indexes)
	}
	agentSpec.InMain = t.Injection == workflow.InjectInitContainer && step.SecurityContext.RunAsUser == nil
	spec, err := agentSpec.Encode()
	if err != nil {
		return nil, err
	}
	if len(agent.EnvStep)+len("=")+len(spec) > workflow.MaxText && attempt.Needs != nil {
		return nil, ErrTooManyNeeds
	}
	return t.buildJob(step, attempt, spec)
}

// buildJob is BuildStepJob with the encoded description of the step for the agent.
func (t Template) buildJob(step workflow.Step, attempt Attempt, spec string) (*batchv1.Job, error) {
	own := t.Spec.Ref().ComponentLabels("step")
	own[workflow.StepLabel], own[workflow.AttemptLabel] = step.Name, strconv.Itoa(attempt.Number)
	meta := buildMetadata(own, step.Metadata, t.Spec.Metadata)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: t.Spec.Namespace, Name: JobName(t.Spec.ID, step.Name, attempt.Number), OwnerReferences: []metav1.OwnerReference{t.Owner},
		Labels: meta.Labels, Annotations: meta.Annotations,
	}}
	pod := t.buildPod(step, spec)
	template, err := patchTemplate(corev1.PodTemplateSpec{ObjectMeta: meta, Spec: pod}, stepGuard, step.Name, step.PodPatches)
	if err != nil {
		return nil, err
	}
	job.Spec = batchv1.JobSpec{
		BackoffLimit:            new(step.Retries),
		TTLSecondsAfterFinished: new(keepSeconds),
		PodReplacementPolicy:    new(batchv1.Failed), // never two pods of a step at the same time
		PodFailurePolicy:        buildFailurePolicy(step, pod),
		Template:                template,
	}
	if step.IsIndexed() {
		makeIndexed(&job.Spec, step, attempt.Indexes)
	}
	if step.Timeout > 0 {
		job.Spec.ActiveDeadlineSeconds = new(int64(step.Timeout.Seconds()))
	}
	return job, nil
}

// FindAgentStep returns the description of the step for the agents of a Job; false if that cannot be read.
func FindAgentStep(job *batchv1.Job) (agent.Step, bool) {
	pod := job.Spec.Template.Spec
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, env := range container.Env {
			if env.Name != agent.EnvStep {
				continue
			}
			if step, err := agent.ParseStep([]byte(strings.ReplaceAll(env.Value, "$$", "$"))); err == nil {
				return step, true
			}
		}
	}
	return agent.Step{}, false
}

// buildMetadata merges the labels of the provider with the labels and annotations of users. The provider's take precedence, then the first user metadata.
func buildMetadata(own map[string]string, users ...workflow.Metadata) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{Labels: map[string]string{}}
	for _, user := range slices.Backward(users) {
		maps.Copy(meta.Labels, user.Labels)
		if len(user.Annotations) > 0 && meta.Annotations == nil { // none instead of an empty map
			meta.Annotations = map[string]string{}
		}
		maps.Copy(meta.Annotations, user.Annotations)
	}
	maps.Copy(meta.Labels, own)
	return meta
}

// makeIndexed makes a Job an Indexed Job with these indexes, or all.
func makeIndexed(spec *batchv1.JobSpec, step workflow.Step, some []int) {
	indexes := int32(step.Completions) //nolint:gosec // at most MaxIndexes
	if len(some) > 0 {
		indexes = int32(len(some)) //nolint:gosec // at most MaxIndexes
	}
	spec.CompletionMode = new(batchv1.IndexedCompletion)
	spec.Completions, spec.Parallelism = &indexes, new(min(step.ParallelOrDefault(), indexes))
	spec.BackoffLimit, spec.BackoffLimitPerIndex = nil, new(step.Retries)
	spec.MaxFailedIndexes = &indexes // the loop enforces the limit, because a committed index with a failed sidecar counts here as well
}

// buildFailurePolicy returns what the Job controller does about a failed pod. A pod that was stopped from outside is replaced and does not
// count as a failed one: by a drain or a preemption, which Kubernetes marks, or by anything else, which the agent's exit code shows. In a
// cancelled run there is nothing to replace. Failures of staging count like any other; if nothing is retried, all others end the Job
// without the controller's back-off.
//
// Only the exit codes of the step's own containers matter, unless another container is all that has failed in the pod of an index: that
// index is committed, or would run again for ever, so it is ended.
func buildFailurePolicy(step workflow.Step, pod corev1.PodSpec) *batchv1.PodFailurePolicy {
	policy := &batchv1.PodFailurePolicy{}
	onExit := func(action batchv1.PodFailurePolicyAction, container *string, operator batchv1.PodFailurePolicyOnExitCodesOperator, codes ...int32) {
		policy.Rules = append(policy.Rules, batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: container, Operator: operator, Values: codes,
		}})
	}
	own := func(action batchv1.PodFailurePolicyAction, operator batchv1.PodFailurePolicyOnExitCodesOperator, codes ...int32) {
		for _, container := range slices.Concat(pod.Containers, pod.InitContainers) {
			onExit(action, new(container.Name), operator, codes...)
		}
	}
	own(batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyOnExitCodesOpIn, agent.ExitCancelled)
	policy.Rules = append(policy.Rules, batchv1.PodFailurePolicyRule{
		Action:          batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	})
	own(batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyOnExitCodesOpIn, agent.ExitStopped)
	own(batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyOnExitCodesOpIn, agent.ExitStageIn, agent.ExitStageOut)
	switch {
	case step.IsIndexed() && step.Retries == 0:
		onExit(batchv1.PodFailurePolicyActionFailIndex, new(workflow.StepContainer), batchv1.PodFailurePolicyOnExitCodesOpNotIn, 0)
	case step.IsIndexed():
		own(batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyOnExitCodesOpNotIn, 0)
	case step.Retries == 0:
		onExit(batchv1.PodFailurePolicyActionFailJob, new(workflow.StepContainer), batchv1.PodFailurePolicyOnExitCodesOpNotIn, 0)
	}
	if step.IsIndexed() {
		onExit(batchv1.PodFailurePolicyActionFailIndex, nil, batchv1.PodFailurePolicyOnExitCodesOpNotIn, 0)
	}
	return policy
}
