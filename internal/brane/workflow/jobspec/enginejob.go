package jobspec

import (
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Names and paths in the engine's pod.
const (
	engineProgram     = "/brane-engine" // in the agent's image
	engineContainer   = "engine"
	EngineConfigMount = "/brane-engine-config"
	SecretEnvMount    = "/brane-secret-env" //nolint:gosec // a path
	EngineConfigFile  = "engine.json"
	EnvEngine         = "BRANE_ENGINE"
	EnvPod            = "BRANE_POD"
	EnvPodUID         = "BRANE_POD_UID"
)

const (
	engineUser int64 = 65532 // "nonroot" of distroless images
	// engineRetries is large, with pauses of up to 10 minutes, so that a run survives some hours without Redis or the API server.
	engineRetries int32 = 30
	// engineGrace is the time for the last write of an engine that is stopped.
	engineGrace int64 = 15
)

// BuildEngineJob returns the Job whose pod executes the run, with the service account that created it. A pod that is gone is replaced by
// another, which resumes the run. resources are those of [Policies.FitEngine]; the access Secret is that
// of the engine.
func BuildEngineJob(spec *workflow.Spec, name, account string, secrets Secrets, owner metav1.OwnerReference, resources corev1.ResourceRequirements) *batchv1.Job {
	meta := spec.Ref().Meta()
	meta.Name, meta.OwnerReferences = name, []metav1.OwnerReference{owner}
	own := spec.Ref().ComponentLabels("engine")
	own[workflow.EngineLabel] = "true"
	template := buildMetadata(own, spec.Metadata)
	meta.Labels, meta.Annotations = template.Labels, template.Annotations
	return &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
		BackoffLimit:            new(engineRetries),
		TTLSecondsAfterFinished: new(keepSeconds),
		PodReplacementPolicy:    new(batchv1.Failed),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}}},
		Template: corev1.PodTemplateSpec{ObjectMeta: template, Spec: buildEnginePod(spec, name, account, secrets, resources)},
	}}
}

// formatMemoryLimit returns a soft limit for the Go runtime, which collects garbage more often instead of exceeding the limit of the container.
func formatMemoryLimit(resources corev1.ResourceRequirements) string {
	limit := resources.Limits[corev1.ResourceMemory]
	return strconv.FormatInt(limit.Value()/10*9, 10)
}

func buildEnginePod(spec *workflow.Spec, name, account string, secrets Secrets, resources corev1.ResourceRequirements) corev1.PodSpec {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	secret := func(name string, optional bool) corev1.VolumeSource {
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, Optional: new(optional)}}
	}
	security := restrictContainer(true, nil)
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
			Image:   spec.AgentImage,
			Command: []string{engineProgram},
			Env: []corev1.EnvVar{
				{Name: EnvEngine, Value: name}, field(EnvPod, "metadata.name"), field(EnvPodUID, "metadata.uid"), {Name: "GOMEMLIMIT", Value: formatMemoryLimit(resources)},
			},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "config", MountPath: EngineConfigMount, ReadOnly: true},
				{Name: workflow.RedisVolume, MountPath: agent.SecretMount, ReadOnly: true},
				{Name: "secret-env", MountPath: SecretEnvMount, ReadOnly: true},
			},
			Resources:       resources,
			SecurityContext: security,
		}},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: spec.Ref().EngineName()},
			}}},
			{Name: workflow.RedisVolume, VolumeSource: secret(secrets.Access, false)},
			// The loop removes these values from the output of commands.
			{Name: "secret-env", VolumeSource: secret(secrets.Env, true)},
		},
	}
}
