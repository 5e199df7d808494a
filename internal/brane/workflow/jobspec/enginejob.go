package jobspec

import (
	"encoding/json"
	"maps"
	"slices"
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
	// engineRetries is large, with pauses of up to 10 minutes, so that a run survives some hours without Redis or the API server.
	engineRetries int32 = 30
	// engineGrace is the time for the last write of an engine that is stopped.
	engineGrace int64 = 15
)

// engineVolumes are the volumes of the engine, by their directories.
var engineVolumes = map[string]string{EngineConfigMount: "config", agent.SecretMount: workflow.RedisVolume, SecretEnvMount: "secret-env"}

var engineGuard = podGuard{
	containers: []string{engineContainer},
	variables:  []string{EnvEngine, EnvPod, EnvPodUID},
	volumes:    slices.Sorted(maps.Values(engineVolumes)),
	mounts:     slices.Sorted(maps.Keys(engineVolumes)),
	needsToken: true,
}

// CheckEnginePatches reports a patch that changes what must stay in the pod of an engine, as a [PodPatchError].
func CheckEnginePatches(patches []json.RawMessage) error {
	spec := &workflow.Spec{ID: "run", Engine: workflow.EnginePod{PodPatches: patches}}
	_, err := BuildEngineJob(spec, "engine", "account", Secrets{}, metav1.OwnerReference{}, corev1.ResourceRequirements{})
	return err
}

// BuildEngineJob returns the Job whose pod executes the run, with the service account that created it. A pod that is gone is replaced by
// another, which resumes the run. resources are those of [Policies.FitEngine]; the access Secret is that of the engine.
func BuildEngineJob(spec *workflow.Spec, name, account string, secrets Secrets, owner metav1.OwnerReference, resources corev1.ResourceRequirements) (*batchv1.Job, error) {
	meta := spec.Ref().Meta()
	meta.Name, meta.OwnerReferences = name, []metav1.OwnerReference{owner}
	own := spec.Ref().ComponentLabels("engine")
	own[workflow.EngineLabel] = "true"
	podMeta := buildMetadata(own, spec.Engine.Metadata, spec.Metadata)
	meta.Labels, meta.Annotations = podMeta.Labels, podMeta.Annotations
	base := corev1.PodTemplateSpec{ObjectMeta: podMeta, Spec: buildEnginePod(spec, name, account, secrets, resources)}
	template, err := patchTemplate(base, engineGuard, "", spec.Engine.PodPatches)
	if err != nil {
		return nil, err
	}
	setMemoryLimit(template.Spec.Containers)
	return &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
		BackoffLimit:            new(engineRetries),
		TTLSecondsAfterFinished: new(keepSeconds),
		PodReplacementPolicy:    new(batchv1.Failed),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}}},
		Template: template,
	}}, nil
}

// setMemoryLimit sets a soft limit for the Go runtime of the engine, which collects garbage more often instead of exceeding the limit of the
// container. A patch may have changed that limit, removed it, or set the variable.
func setMemoryLimit(containers []corev1.Container) {
	const variable = "GOMEMLIMIT"
	for i, container := range containers {
		limit, isLimited := container.Resources.Limits[corev1.ResourceMemory]
		isSet := slices.ContainsFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == variable })
		if container.Name == engineContainer && isLimited && !isSet {
			containers[i].Env = append(container.Env, corev1.EnvVar{Name: variable, Value: strconv.FormatInt(limit.Value()/10*9, 10)})
		}
	}
}

func buildEnginePod(spec *workflow.Spec, name, account string, secrets Secrets, resources corev1.ResourceRequirements) corev1.PodSpec {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	secret := func(name string, optional bool) corev1.VolumeSource {
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, Optional: new(optional)}}
	}
	// Without a user ID: that of the image applies, or one that the cluster assigns, as OpenShift does. Not in the security context of the pod, which
	// would forbid a sidecar to run as root that a webhook adds, and the pod would not start.
	security := restrictContainer(true, nil)
	security.RunAsNonRoot = new(true)
	pod := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever, // so that the log of each failed pod stays
		ServiceAccountName:            account,
		AutomountServiceAccountToken:  new(true),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(engineGrace),
		SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		ImagePullSecrets:              buildPullSecrets(spec.Engine.PullSecrets),
		Containers: []corev1.Container{{
			Name:    engineContainer,
			Image:   spec.AgentImage,
			Command: []string{engineProgram},
			Env: []corev1.EnvVar{
				{Name: EnvEngine, Value: name}, field(EnvPod, "metadata.name"), field(EnvPodUID, "metadata.uid"),
			},
			Resources:       resources,
			SecurityContext: security,
		}},
		Volumes: []corev1.Volume{
			{Name: engineVolumes[EngineConfigMount], VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: spec.Ref().EngineName()},
			}}},
			{Name: workflow.RedisVolume, VolumeSource: secret(secrets.Access, false)},
			// The loop removes these values from the output of commands.
			{Name: engineVolumes[SecretEnvMount], VolumeSource: secret(secrets.Env, true)},
		},
	}
	for _, path := range engineGuard.mounts {
		pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: engineVolumes[path], MountPath: path, ReadOnly: true})
	}
	applyPlacement(&pod, spec.Engine.Placement)
	return pod
}
