package workflow

import (
	"cmp"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
)

// The agent and what it has to know get into a step's pod in one of two ways. An init container that copies the agent works on every cluster, but costs the node
// more processor time than the rest of a short step. Where nodes can mount an image as a volume, the step's container finds the agent there, and does all.
//
// What nobody has said is decided once an execution. The pods of a run that is taken up may have the agent in both ways, which is nothing to them.

// AgentInjection is how the agent gets into a step's pod.
type AgentInjection string

// The ways to inject the agent.
const (
	InjectAuto          AgentInjection = "auto"           // InjectImageVolume if it is known to work and to expose no more than the other, else InjectInitContainer
	InjectInitContainer AgentInjection = "init_container" // an init container copies the agent
	InjectImageVolume   AgentInjection = "image_volume"   // the agent's image is mounted as a volume
)

// decideDelivery says by which way the agent gets into the pods. A volume that nobody has asked for has to be known to work, and to tell nobody more than an init
// container does: who may `kubectl exec` into a pod reads its container's environment, so the credential there must be of use for the files of this run alone.
func (r *Run) decideDelivery(ctx context.Context, ownUser bool) {
	if r.AgentInjection != "" && r.AgentInjection != InjectAuto {
		r.byVolume = r.AgentInjection == InjectImageVolume
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
		r.observe(Event{Kind: RunStages, Detail: whyNot})
	}
}

// largeCertificate is the size of a certificate for Redis that no variable can hold; 0 where there is none.
func (r *Run) largeCertificate() int {
	for _, content := range [][]byte{r.RedisCerts.CA, r.RedisCerts.Cert, r.RedisCerts.Key} {
		if len(content) > maxText-len(agent.EnvCert+"=") {
			return len(content)
		}
	}
	return 0
}

// withInit lets an init container bring the agent and the files. The credential is a file that only this container has.
func (r *Run) withInit(pod *corev1.PodSpec, step Step, told []corev1.EnvVar) {
	folder := corev1.VolumeMount{Name: agentVolume, MountPath: agent.Mount}
	pod.InitContainers = []corev1.Container{{
		Name:  stageContainer,
		Image: r.AgentImage,
		Args:  agent.StageArgs(),
		Env:   told,
		VolumeMounts: []corev1.VolumeMount{
			folder, {Name: dataVolume, MountPath: agent.DataMount}, {Name: redisVolume, MountPath: agent.SecretMount, ReadOnly: true},
		},
		Resources:       stageResources(step.Resources),
		SecurityContext: restricted(step.SecurityContext.ReadOnlyRootFilesystem, nil),
	}}
	pod.Containers[0].Command = agent.RunCommand(program(step))
	pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, folder)
	pod.Volumes = append(pod.Volumes,
		// In memory: the credential passes through it on its way from the init container to the agent.
		corev1.Volume{Name: agentVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("64Mi")),
		}}},
		corev1.Volume{Name: redisVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: r.objectName()}}},
	)
}

// withVolume mounts the agent's image. The credential is in the environment of the step's container: a file would stay there for the program, and these variables
// the agent neither passes on nor lets be seen.
func (r *Run) withVolume(pod *corev1.PodSpec, step Step, told []corev1.EnvVar) {
	mount := func(name, path string, source corev1.VolumeSource) {
		pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	}
	if step.brane().HidesExitCode() {
		mount(scratchVolume, agent.Mount, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}) // for links to a copy of the agent
	}
	mount(agentVolume, agent.ImageMount, corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: r.AgentImage}})
	for _, secret := range [][2]string{{agent.EnvURL, agent.SecretKey}, {agent.EnvCA, agent.SecretCA}, {agent.EnvCert, agent.SecretCert}, {agent.EnvTLS, agent.SecretTLS}} {
		told = append(told, corev1.EnvVar{Name: secret[0], ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: r.objectName()}, Key: secret[1], Optional: new(secret[1] != agent.SecretKey),
		}}})
	}
	pod.Containers[0].Command = agent.AloneCommand(program(step))
	pod.Containers[0].Env = append(pod.Containers[0].Env, told...)
}

// advice is what to do where it is the agent that does not get into a pod; empty where it does.
func (r *Run) advice(f *Failure) string {
	switch f.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
		if f.Container == stageContainer || strings.Contains(f.Message, r.AgentImage) {
			return "Correct agent_image of the provider, or make sure that the node can pull it"
		}
	case "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun":
		if r.byVolume {
			return "Where the cluster cannot mount image volumes (Kubernetes 1.35, and containerd 2.1 or CRI-O 1.31 on its nodes, can), set agent_injection = \"init_container\""
		}
	}
	return ""
}
