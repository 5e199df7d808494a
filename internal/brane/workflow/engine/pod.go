package engine

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// pod returns the specification of a step's pod. spec is the description of the step for the agent.
func (r *Run) pod(step workflow.Step, spec string) corev1.PodSpec {
	pod := corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever, // a restarted container would not find its specification
		AutomountServiceAccountToken: new(step.AutomountServiceAccountToken),
		EnableServiceLinks:           new(false),
		ServiceAccountName:           step.ServiceAccountName,
		SecurityContext:              podSecurity(step),
		NodeSelector:                 step.Placement.NodeSelector,
		Tolerations:                  step.Placement.Tolerations,
		Affinity:                     step.Placement.Affinity,
		PriorityClassName:            step.Placement.PriorityClassName,
		Containers:                   []corev1.Container{r.container(step)},
		Volumes:                      []corev1.Volume{{Name: workflow.DataVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	deliver, env := r.withInit, []corev1.EnvVar{{Name: agent.EnvStep, Value: literal(spec)}, field(agent.EnvNode, "spec.nodeName"), field(agent.EnvPod, "metadata.name")}
	if r.byVolume {
		deliver = r.withVolume
	}
	deliver(&pod, step, env)
	if step.Placement.RuntimeClassName != "" {
		pod.RuntimeClassName = new(step.Placement.RuntimeClassName)
	}
	for _, name := range step.PullSecrets {
		pod.ImagePullSecrets = append(pod.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	for _, volume := range step.Volumes {
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: volume.Name, VolumeSource: volume.Source})
	}
	return pod
}

// commandOf returns the command that the agent runs.
func commandOf(step workflow.Step) []string { return literals(slices.Concat(step.Command, step.Args)) }

// container returns the main container.
func (r *Run) container(step workflow.Step) corev1.Container {
	container := corev1.Container{
		Name:            workflow.StepContainer,
		Image:           step.Image,
		Env:             r.environment(step),
		WorkingDir:      step.WorkingDir,
		Resources:       corev1.ResourceRequirements{Requests: step.Resources.Requests, Limits: step.Resources.Limits},
		VolumeMounts:    []corev1.VolumeMount{{Name: workflow.DataVolume, MountPath: agent.DataMount}},
		SecurityContext: restricted(step.SecurityContext.ReadOnlyRootFilesystem, step.SecurityContext.Capabilities),
	}
	for _, volume := range step.Volumes {
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{
			Name: volume.Name, MountPath: volume.MountPath, SubPath: volume.SubPath, ReadOnly: volume.ReadOnly,
		})
	}
	return container
}

// stageMemory is enough for the agent (at most 32 MiB), its binary in the volume in memory, and the page cache of the staged files.
var stageMemory = resource.MustParse("128Mi")

// stageResources returns the resources of the init container. They do not increase the resources of the pod, because the init container ends before the main container
// starts; but a namespace with a quota does not admit a container without resources. Only the main container gets devices.
func stageResources(of workflow.Resources) corev1.ResourceRequirements {
	own := func(list corev1.ResourceList) corev1.ResourceList {
		kept := corev1.ResourceList{}
		for name, quantity := range list {
			if workflow.IsComputeResource(name) {
				kept[name] = quantity
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	}
	resources := corev1.ResourceRequirements{Requests: own(of.Requests), Limits: own(of.Limits)}
	if limit, found := resources.Limits[corev1.ResourceMemory]; found && limit.Cmp(stageMemory) < 0 {
		resources.Limits[corev1.ResourceMemory] = stageMemory
		// Without a request a container requests its limit, and the pod would request more than the step.
		if _, found := resources.Requests[corev1.ResourceMemory]; !found {
			if resources.Requests == nil {
				resources.Requests = corev1.ResourceList{}
			}
			resources.Requests[corev1.ResourceMemory] = limit
		}
	}
	return resources
}

// podSecurity returns the security context of both containers, so that the command can change the staged files, and no other user can read the credential.
func podSecurity(step workflow.Step) *corev1.PodSecurityContext {
	security := &corev1.PodSecurityContext{
		RunAsUser:          step.SecurityContext.RunAsUser,
		RunAsGroup:         step.SecurityContext.RunAsGroup,
		FSGroup:            step.SecurityContext.FSGroup,
		SupplementalGroups: step.SecurityContext.SupplementalGroups,
		SeccompProfile:     &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if step.SecurityContext.RunAsUser != nil && *step.SecurityContext.RunAsUser != 0 {
		security.RunAsNonRoot = new(true) // as the Pod Security level "restricted" requires
	}
	if profile := step.SecurityContext.SeccompProfile; profile != nil {
		security.SeccompProfile = profile
	}
	return security
}

// restricted returns the security context that the Pod Security level "restricted" requires of a container, except for the user, which the image may choose, and for
// what the step adds.
func restricted(readOnlyRoot bool, add []string) *corev1.SecurityContext {
	security := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	for _, name := range add {
		security.Capabilities.Add = append(security.Capabilities.Add, corev1.Capability(name))
	}
	if readOnlyRoot {
		security.ReadOnlyRootFilesystem = new(true)
	}
	return security
}

// literal prevents Kubernetes from expanding $(NAME) and $$, which have another meaning in a shell.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func literals(texts []string) []string {
	escaped := make([]string, len(texts))
	for i, text := range texts {
		escaped[i] = literal(text)
	}
	return escaped
}

// environment returns the environment of the command, sorted by name. Values of Secrets are referenced.
func (r *Run) environment(step workflow.Step) []corev1.EnvVar {
	var vars []corev1.EnvVar
	for name, value := range step.Env {
		vars = append(vars, corev1.EnvVar{Name: name, Value: literal(value)})
	}
	from := func(name, secret, key string) {
		vars = append(vars, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key,
		}}})
	}
	for name, source := range step.EnvFromSecret {
		from(name, source.Secret, source.Key)
	}
	for name := range step.SecretEnv {
		from(name, r.secretEnvName(), secretEnvKey(step.Name, name))
	}
	slices.SortFunc(vars, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return vars
}
