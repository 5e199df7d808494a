package engine

import (
	"cmp"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The agent and its configuration get into the pod of a step in one of two ways. An init container that copies the agent works on every cluster, but costs the node
// more processor time than the rest of a short step. If the nodes can mount an image as a volume, the main container runs the agent from there.
//
// Unless it is configured, this is decided once for each execution. The pods of a resumed run may have the agent in either way.

// decideDelivery decides how the agent gets into the pods. A volume that was not configured has to be known to work, and must not expose more than an init container:
// a user with permission for `kubectl exec` can read the environment of a container, so the credential there must only give access to the files of this run.
func (r *Run) decideDelivery(ctx context.Context, ownUser bool) {
	if r.AgentInjection != "" && r.AgentInjection != workflow.InjectAuto {
		r.byVolume = r.AgentInjection == workflow.InjectImageVolume
		return
	}
	whyNot := "its pods share a Redis user with others"
	switch {
	case !ownUser:
	case r.largeCertificate() > 0:
		whyNot = "a certificate for Redis is too large for a variable"
	case r.handedOver != nil && *r.handedOver:
		whyNot = ""
	case r.handedOver != nil:
		whyNot = "it was decided when the run was handed over"
	default:
		whyNot = nodesMount(ctx, cmp.Or(r.Nodes, r.Kube))
	}
	if r.byVolume = whyNot == ""; !r.byVolume {
		r.observe(workflow.Event{Kind: workflow.RunStages, Detail: whyNot})
	}
}

// largeCertificate returns the size of a certificate for Redis that is too large for a variable; 0 if there is none.
func (r *Run) largeCertificate() int {
	for _, content := range [][]byte{r.RedisCerts.CA, r.RedisCerts.Cert, r.RedisCerts.Key} {
		if len(content) > workflow.MaxText-len(agent.EnvCert+"=") {
			return len(content)
		}
	}
	return 0
}

// withInit adds an init container that copies the agent and stages the files in. The credential is a file that only this container mounts.
func (r *Run) withInit(pod *corev1.PodSpec, step workflow.Step, env []corev1.EnvVar) {
	binary := corev1.VolumeMount{Name: workflow.AgentVolume, MountPath: agent.Mount}
	pod.InitContainers = []corev1.Container{{
		Name:  workflow.StageContainer,
		Image: r.AgentImage,
		Args:  agent.StageArgs(),
		Env:   env,
		VolumeMounts: []corev1.VolumeMount{
			binary, {Name: workflow.DataVolume, MountPath: agent.DataMount}, {Name: workflow.RedisVolume, MountPath: agent.SecretMount, ReadOnly: true},
		},
		Resources:       stageResources(step.Resources),
		SecurityContext: restricted(step.SecurityContext.ReadOnlyRootFilesystem, nil),
	}}
	pod.Containers[0].Command = agent.RunCommand(commandOf(step))
	pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, binary)
	pod.Volumes = append(pod.Volumes,
		// In memory, because the init container passes the credential to the agent through it.
		corev1.Volume{Name: workflow.AgentVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("64Mi")),
		}}},
		corev1.Volume{Name: workflow.RedisVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: r.objectName()}}},
	)
}

// withVolume mounts the agent's image. The credential is in the environment of the main container: the command could read a file, but the agent hides these variables
// and does not pass them on.
func (r *Run) withVolume(pod *corev1.PodSpec, step workflow.Step, env []corev1.EnvVar) {
	mount := func(name, path string, source corev1.VolumeSource) {
		pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	}
	if step.BraneVersion().HidesExitCode() {
		mount(workflow.ScratchVolume, agent.Mount, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}) // for links to a copy of the agent
	}
	mount(workflow.AgentVolume, agent.ImageMount, corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: r.AgentImage}})
	for _, secret := range [][2]string{{agent.EnvURL, agent.SecretKey}, {agent.EnvCA, agent.SecretCA}, {agent.EnvCert, agent.SecretCert}, {agent.EnvTLS, agent.SecretTLS}} {
		env = append(env, corev1.EnvVar{Name: secret[0], ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: r.objectName()}, Key: secret[1], Optional: new(secret[1] != agent.SecretKey),
		}}})
	}
	pod.Containers[0].Command = agent.AloneCommand(commandOf(step))
	pod.Containers[0].Env = append(pod.Containers[0].Env, env...)
}

// advice returns what to do if a pod failed because the agent could not be added to it; empty otherwise.
func (r *Run) advice(f *workflow.Failure) string {
	switch f.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		if f.Container == workflow.StageContainer || strings.Contains(f.Message, r.AgentImage) {
			return "Correct agent_image of the provider, or make sure that the node can pull it"
		}
	case "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun":
		if r.byVolume {
			return "Where the cluster cannot mount image volumes (Kubernetes 1.35, and containerd 2.1 or CRI-O 1.31 on its nodes, can), set agent_injection = \"init_container\""
		}
	}
	return ""
}
