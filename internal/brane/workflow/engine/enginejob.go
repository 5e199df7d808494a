package engine

import (
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Names and paths in the engine's pod.
const (
	engineProgram   = "/brane-engine" // in the agent's image
	engineContainer = "engine"
	ordersMount     = "/brane-orders"
	secretEnvMount  = "/brane-secret-env" //nolint:gosec // a path
	ordersFile      = "orders.json"
	envEngine       = "BRANE_ENGINE"
	envPod          = "BRANE_POD"
	envPodUID       = "BRANE_POD_UID"
)

const (
	engineUser int64 = 65532 // "nonroot" of distroless images
	// engineRetries is large, with pauses of up to 10 minutes, so that a run survives some hours without Redis or the API server.
	engineRetries int32 = 30
	// engineGrace is the time for the last write of an engine that is stopped.
	engineGrace int64 = 15
)

// orders are the description of a run for its engine. They contain no secret.
type orders struct {
	Run            string                  `json:"run"`
	Namespace      string                  `json:"namespace"`
	Location       string                  `json:"location,omitempty"`
	Registry       string                  `json:"registry,omitempty"`
	AgentImage     string                  `json:"agent_image"`
	Users          workflow.RedisUsers     `json:"users,omitempty"`
	Timeouts       workflow.PodTimeouts    `json:"timeouts"`
	Parallel       int                     `json:"parallel,omitempty"`
	Prewarm        bool                    `json:"prewarm,omitempty"`
	AgentInjection workflow.AgentInjection `json:"agent_injection,omitempty"`
	ByVolume       bool                    `json:"by_volume,omitempty"` // as decided then: an engine has no permission to list the nodes, but decides itself which credential its pods get
	Steps          []workflow.Step         `json:"steps"`
	Outputs        []string                `json:"outputs,omitempty"` // paths to keep at the end
}

func (r *Run) ordersName() string { return workflow.ObjectName("brane", r.ID, "engine") }

// ordersObject returns the ConfigMap with the orders of an engine. It is separate from the run object, which is written every few seconds.
func (r *Run) ordersObject() *corev1.ConfigMap {
	object := &corev1.ConfigMap{ObjectMeta: r.meta()}
	object.Name = r.ordersName()
	return object
}

func (o orders) encode() (string, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("encode run %q for its engine: %w", o.Run, err)
	}
	return string(text), nil
}

// engineJob returns the Job whose pod executes the run, with the service account that created it. A pod that is gone is replaced by another, which resumes the run.
func (r *Run) engineJob(name, account string, owner metav1.OwnerReference) *batchv1.Job {
	meta := r.meta()
	meta.Name, meta.OwnerReferences = name, []metav1.OwnerReference{owner}
	meta.Labels = r.podLabels("engine")
	meta.Labels[workflow.EngineLabel] = "true"
	return &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
		BackoffLimit:            new(engineRetries),
		TTLSecondsAfterFinished: new(keepJobs),
		PodReplacementPolicy:    new(batchv1.Failed),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels}, Spec: r.enginePod(name, account)},
	}}
}

func (r *Run) enginePod(name, account string) corev1.PodSpec {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	secret := func(name string, optional bool) corev1.VolumeSource {
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, Optional: new(optional)}}
	}
	security := restricted(true, nil)
	return corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever, // so that the log of each failed pod stays
		ServiceAccountName:            account,
		AutomountServiceAccountToken:  new(true),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(engineGrace),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(engineUser), RunAsGroup: new(engineUser),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name:    engineContainer,
			Image:   r.AgentImage,
			Command: []string{engineProgram},
			Env:     []corev1.EnvVar{{Name: envEngine, Value: name}, field(envPod, "metadata.name"), field(envPodUID, "metadata.uid")},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "orders", MountPath: ordersMount, ReadOnly: true},
				{Name: workflow.RedisVolume, MountPath: agent.SecretMount, ReadOnly: true},
				{Name: "secret-env", MountPath: secretEnvMount, ReadOnly: true},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("256Mi")},
			},
			SecurityContext: security,
		}},
		Volumes: []corev1.Volume{
			{Name: "orders", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: r.ordersName()}}}},
			{Name: workflow.RedisVolume, VolumeSource: secret(r.ordersName(), false)},
			// The loop removes these values from the output of commands.
			{Name: "secret-env", VolumeSource: secret(r.secretEnvName(), true)},
		},
	}
}
