package workflow

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
)

const (
	stageContainer = "stage" // carries the agent and the files into the pod
	stepContainer  = "step"  // the user's program, wrapped by the agent
)

// pod is what both containers of a step run in.
func (r *Run) pod(step Step, spec string) corev1.PodSpec {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	brane := corev1.VolumeMount{Name: "brane", MountPath: agent.Mount}
	data := corev1.VolumeMount{Name: "data", MountPath: agent.DataMount}
	stage := corev1.Container{
		Name:            stageContainer,
		Image:           r.AgentImage,
		Args:            agent.StageArgs(),
		Env:             []corev1.EnvVar{{Name: agent.EnvStep, Value: spec}, field(agent.EnvNode, "spec.nodeName"), field(agent.EnvPod, "metadata.name")},
		VolumeMounts:    []corev1.VolumeMount{brane, data, {Name: "redis", MountPath: agent.SecretMount, ReadOnly: true}},
		SecurityContext: restricted(),
	}
	program := corev1.Container{
		Name:            stepContainer,
		Image:           step.Image,
		Command:         agent.RunCommand(literals(slices.Concat(step.Command, step.Args))),
		Env:             environment(step.Env),
		WorkingDir:      step.WorkingDir,
		VolumeMounts:    []corev1.VolumeMount{brane, data},
		SecurityContext: restricted(),
	}
	return corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever, // a container started again would find no spec
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		SecurityContext: &corev1.PodSecurityContext{
			// One user for both containers: the program can change what was staged in, and nobody else reads the credential.
			RunAsUser:      step.RunAsUser,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		InitContainers: []corev1.Container{stage},
		Containers:     []corev1.Container{program},
		Volumes: []corev1.Volume{
			// In memory: the credential passes through it on its way from the init container to the agent.
			{Name: "brane", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
				Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("64Mi")),
			}}},
			{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: "redis", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: r.objectName()}}},
		},
	}
}

// restricted is what Pod Security's "restricted" level asks of a container, but for the user, which is the image's own business.
func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// literal keeps Kubernetes from putting values in the place of $(NAME) and one dollar in that of two: both mean something else to a shell.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func literals(texts []string) []string {
	escaped := make([]string, len(texts))
	for i, text := range texts {
		escaped[i] = literal(text)
	}
	return escaped
}

func environment(env map[string]string) []corev1.EnvVar {
	var vars []corev1.EnvVar
	for name, value := range env {
		vars = append(vars, corev1.EnvVar{Name: name, Value: literal(value)})
	}
	slices.SortFunc(vars, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return vars
}
