package jobspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The agent and its configuration get into the pod of a step in one of two ways. An init container that copies the agent works on every
// cluster, but costs the node more processor time than the rest of a short step. If the nodes can mount an image as a volume, the main
// container runs the agent from there.

// injectByInitContainer adds an init container that copies the agent and stages the files in. The credential is a file that only this
// container mounts.
func (t Template) injectByInitContainer(pod *corev1.PodSpec, step workflow.Step, env []corev1.EnvVar) {
	binary := corev1.VolumeMount{Name: workflow.AgentVolume, MountPath: agent.Mount}
	pod.InitContainers = []corev1.Container{{
		Name:  workflow.StageContainer,
		Image: t.Spec.AgentImage,
		Args:  agent.StageArgs(),
		Env:   env,
		VolumeMounts: []corev1.VolumeMount{
			binary, {Name: workflow.DataVolume, MountPath: agent.DataMount}, {Name: workflow.RedisVolume, MountPath: agent.SecretMount, ReadOnly: true},
		},
		Resources:       t.Policies.fitStage(step.Resources),
		SecurityContext: restrictContainer(step.SecurityContext.ReadOnlyRootFilesystem, nil),
	}}
	pod.Containers[0].Command = agent.RunCommand(joinCommand(step))
	pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, binary)
	pod.Volumes = append(pod.Volumes,
		// In memory, because the init container passes the credential to the agent through it.
		corev1.Volume{Name: workflow.AgentVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("64Mi")),
		}}},
		corev1.Volume{Name: workflow.RedisVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: t.Secrets.Access}}},
	)
}

// injectByImageVolume mounts the agent's image. The credential is in the environment of the main container: the command could read a file,
// but the agent hides these variables and does not pass them on.
func (t Template) injectByImageVolume(pod *corev1.PodSpec, step workflow.Step, env []corev1.EnvVar) {
	mount := func(name, path string, source corev1.VolumeSource) {
		pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	}
	if step.BraneVersion().HidesExitCode() {
		mount(workflow.ScratchVolume, agent.Mount, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}) // for links to a copy of the agent
	}
	mount(workflow.AgentVolume, agent.ImageMount, corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: t.Spec.AgentImage}})
	for _, secret := range [][2]string{
		{agent.EnvURL, agent.SecretKey}, {agent.EnvCA, agent.SecretCA}, {agent.EnvCert, agent.SecretCert}, {agent.EnvTLS, agent.SecretTLS},
	} {
		env = append(env, corev1.EnvVar{Name: secret[0], ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: t.Secrets.Access}, Key: secret[1], Optional: new(secret[1] != agent.SecretKey),
		}}})
	}
	pod.Containers[0].Command = agent.AloneCommand(joinCommand(step))
	pod.Containers[0].Env = append(pod.Containers[0].Env, env...)
}
