package jobspec

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// buildPod returns the specification of a step's pod. spec is the description of the step for the agent.
func (t Template) buildPod(step workflow.Step, spec string) corev1.PodSpec {
	pod := corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever, // a restarted container would not find its specification
		AutomountServiceAccountToken: new(step.AutomountServiceAccountToken),
		EnableServiceLinks:           new(false),
		ServiceAccountName:           step.ServiceAccountName,
		SecurityContext:              buildPodSecurity(step),
		ImagePullSecrets:             buildPullSecrets(step.PullSecrets),
		TopologySpreadConstraints:    t.buildTopologySpread(step),
		HostAliases:                  step.HostAliases,
		DNSConfig:                    step.DNSConfig,
		Containers:                   []corev1.Container{t.buildContainer(step)},
		Volumes:                      []corev1.Volume{buildDataVolume(step)},
	}
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	env := []corev1.EnvVar{
		{Name: agent.EnvStep, Value: escapeVars(spec)}, field(agent.EnvNode, "spec.nodeName"), field(agent.EnvPod, "metadata.name"),
	}
	inject := t.injectByInitContainer
	if t.Injection == workflow.InjectImageVolume {
		inject = t.injectByImageVolume
	}
	inject(&pod, step, env)
	applyPlacement(&pod, step.Placement)
	if step.TerminationGracePeriod > 0 {
		pod.TerminationGracePeriodSeconds = new(int64(step.TerminationGracePeriod.Seconds()))
	}
	for _, claim := range step.ResourceClaims {
		pod.ResourceClaims = append(pod.ResourceClaims, claim.PodResourceClaim)
	}
	for _, volume := range step.Volumes {
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: volume.Name, VolumeSource: volume.Source})
	}
	return pod
}

// applyPlacement sets what the pods of steps and engines have in common of a placement.
func applyPlacement(pod *corev1.PodSpec, placement workflow.Placement) {
	pod.NodeSelector, pod.Tolerations, pod.Affinity = placement.NodeSelector, placement.Tolerations, placement.Affinity
	pod.PriorityClassName, pod.SchedulerName = placement.PriorityClassName, placement.SchedulerName
	if placement.RuntimeClassName != "" {
		pod.RuntimeClassName = new(placement.RuntimeClassName)
	}
}

func buildPullSecrets(names []string) []corev1.LocalObjectReference {
	var secrets []corev1.LocalObjectReference
	for _, name := range names {
		secrets = append(secrets, corev1.LocalObjectReference{Name: name})
	}
	return secrets
}

// buildDataVolume returns the volume with the files of a step.
func buildDataVolume(step workflow.Step) corev1.Volume {
	source := &corev1.EmptyDirVolumeSource{}
	if step.DataSizeLimit > 0 {
		source.SizeLimit = resource.NewQuantity(step.DataSizeLimit, resource.BinarySI)
	}
	return corev1.Volume{Name: workflow.DataVolume, VolumeSource: corev1.VolumeSource{EmptyDir: source}}
}

// buildTopologySpread completes constraints without a label selector, which would count no pods.
func (t Template) buildTopologySpread(step workflow.Step) []corev1.TopologySpreadConstraint {
	constraints := slices.Clone(step.Placement.TopologySpread)
	for i := range constraints {
		if constraints[i].LabelSelector == nil {
			constraints[i].LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{workflow.RunLabel: t.Spec.ID, workflow.StepLabel: step.Name}}
		}
	}
	return constraints
}

// joinCommand returns the command that the agent runs.
func joinCommand(step workflow.Step) []string {
	return escapeAllVars(slices.Concat(step.Command, step.Args))
}

// buildContainer returns the main container.
func (t Template) buildContainer(step workflow.Step) corev1.Container {
	container := corev1.Container{
		Name:            workflow.StepContainer,
		Image:           step.Image,
		Env:             t.buildEnvironment(step),
		WorkingDir:      step.WorkingDir,
		Resources:       corev1.ResourceRequirements{Requests: step.Resources.Requests, Limits: step.Resources.Limits},
		VolumeMounts:    []corev1.VolumeMount{{Name: workflow.DataVolume, MountPath: agent.DataMount}},
		SecurityContext: restrictContainer(step.SecurityContext.ReadOnlyRootFilesystem, step.SecurityContext.Capabilities),
	}
	for _, claim := range step.ResourceClaims {
		container.Resources.Claims = append(container.Resources.Claims, corev1.ResourceClaim{Name: claim.Name, Request: claim.Request})
	}
	for _, volume := range step.Volumes {
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{
			Name: volume.Name, MountPath: volume.MountPath, SubPath: volume.SubPath, ReadOnly: volume.ReadOnly,
		})
	}
	return container
}

// buildPodSecurity returns the security context of both containers. Without a user ID each has the user of its image, and the main container stages
// the files in, so that the command can change them.
func buildPodSecurity(step workflow.Step) *corev1.PodSecurityContext {
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

// restrictContainer returns the security context that the Pod Security level "restricted" requires of a container, except for the user,
// which the image may choose, and for what the step adds.
func restrictContainer(readOnlyRoot bool, add []string) *corev1.SecurityContext {
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

// escapeVars prevents Kubernetes from expanding $(NAME) and $$, which have another meaning in a shell.
func escapeVars(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func escapeAllVars(texts []string) []string {
	escaped := make([]string, len(texts))
	for i, text := range texts {
		escaped[i] = escapeVars(text)
	}
	return escaped
}

// buildEnvironment returns the environment of the command, sorted by name. Values of Secrets are referenced.
func (t Template) buildEnvironment(step workflow.Step) []corev1.EnvVar {
	var vars []corev1.EnvVar
	for name, value := range step.Env {
		vars = append(vars, corev1.EnvVar{Name: name, Value: escapeVars(value)})
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
		from(name, t.Secrets.Env, SecretEnvKey(step.Name, name))
	}
	slices.SortFunc(vars, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return vars
}
