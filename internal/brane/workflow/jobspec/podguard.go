package jobspec

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// podGuard is what a patch must leave in a pod as it is, because the provider, the agent or the engine needs it.
type podGuard struct {
	containers []string // whose images, commands, arguments, variables and mounts stay
	variables  []string // of these containers
	volumes    []string // which stay, and which only these containers can mount
	mounts     []string // directories that these containers need
	// keepsGrace is set if the agent gets the grace period of the pod.
	keepsGrace bool
	// needsToken is set if the containers use the token of the service account.
	needsToken bool
}

var stepGuard = podGuard{
	containers: []string{workflow.StageContainer, workflow.StepContainer},
	variables:  slices.Concat(agent.Handed, []string{agent.EnvIndex, agent.EnvStepIndex, agent.EnvItem}),
	volumes:    workflow.OwnVolumes,
	mounts:     []string{agent.Mount, agent.DataMount, agent.SecretMount},
	keepsGrace: true,
}

// removeForeignStage removes an init container that only the patch has: the agent's, in a pod into which the agent gets by an image volume. A
// patch has to work with both.
func (g podGuard) removeForeignStage(base corev1.PodTemplateSpec, patched *corev1.PodTemplateSpec) {
	isStage := func(c corev1.Container) bool { return c.Name == workflow.StageContainer }
	if slices.Contains(g.containers, workflow.StageContainer) && !slices.ContainsFunc(base.Spec.InitContainers, isStage) {
		patched.Spec.InitContainers = slices.DeleteFunc(patched.Spec.InitContainers, isStage)
	}
}

// findProblems returns what a patch has changed although it must stay. Each problem begins with the path of the field.
func (g podGuard) findProblems(base, patched corev1.PodTemplateSpec) []string {
	c := podComparison{podGuard: g}
	c.compareLabels(base.Labels, patched.Labels)
	if base.Spec.RestartPolicy != patched.Spec.RestartPolicy {
		c.addProblem("spec.restartPolicy", "must stay %s: the Job replaces failed pods", base.Spec.RestartPolicy)
	}
	if g.keepsGrace && !equality.Semantic.DeepEqual(base.Spec.TerminationGracePeriodSeconds, patched.Spec.TerminationGracePeriodSeconds) {
		c.addProblem("spec.terminationGracePeriodSeconds", "the agent has to know it: set termination_grace_period_seconds of the step instead")
	}
	if token := patched.Spec.AutomountServiceAccountToken; g.needsToken && token != nil && !*token {
		c.addProblem("spec.automountServiceAccountToken", "the engine needs the token: remove it")
	}
	c.compareContainers("spec.initContainers", base.Spec.InitContainers, patched.Spec.InitContainers)
	c.compareContainers("spec.containers", base.Spec.Containers, patched.Spec.Containers)
	c.compareUsers(base.Spec, patched.Spec)
	c.compareVolumes(base.Spec.Volumes, patched.Spec.Volumes)
	return c.problems
}

// podComparison collects the problems of a patched template.
type podComparison struct {
	podGuard
	problems []string
}

func (c *podComparison) addProblem(at, format string, args ...any) {
	c.problems = append(c.problems, at+": "+fmt.Sprintf(format, args...))
}

func (c *podComparison) compareLabels(base, patched map[string]string) {
	for key, value := range base {
		if workflow.IsReservedLabel(key) && patched[key] != value {
			c.addProblem("metadata.labels", "the labels of the provider must stay: merge labels instead of replacing them")
			return
		}
	}
}

// compareContainers compares the guarded containers of a list.
func (c *podComparison) compareContainers(at string, base, patched []corev1.Container) {
	for _, before := range base {
		if !slices.Contains(c.containers, before.Name) {
			continue
		}
		i := slices.IndexFunc(patched, func(after corev1.Container) bool { return after.Name == before.Name })
		if i < 0 {
			c.addProblem(at, "container %q must stay", before.Name)
			continue
		}
		c.compareContainer(fmt.Sprintf("%s[name=%s]", at, before.Name), before, patched[i])
	}
}

func (c *podComparison) compareContainer(at string, before, after corev1.Container) {
	if before.Image != after.Image {
		c.addProblem(at+".image", "must stay: set image of the step, or agent_image of the provider for the agent and the engine, instead")
	}
	if !slices.Equal(before.Command, after.Command) || !slices.Equal(before.Args, after.Args) {
		c.addProblem(at, "command and args must stay, because they start the agent or the engine: set command and args of the step instead")
	}
	if after.RestartPolicy != nil || len(after.RestartPolicyRules) > 0 {
		c.addProblem(at, "restartPolicy and restartPolicyRules cannot be set: the container ends with the step")
	}
	if before.TerminationMessagePath != after.TerminationMessagePath {
		c.addProblem(at+".terminationMessagePath", "must stay: the agent writes to its default")
	}
	own := func(variables []corev1.EnvVar) []corev1.EnvVar {
		return slices.DeleteFunc(slices.Clone(variables), func(v corev1.EnvVar) bool { return !slices.Contains(c.variables, v.Name) })
	}
	if !equality.Semantic.DeepEqual(sortVariables(own(before.Env)), sortVariables(own(after.Env))) {
		c.addProblem(at+".env", "the variables %s are those of Brane, and must stay", strings.Join(c.variables, ", "))
	}
	c.compareMounts(at+".volumeMounts", before.VolumeMounts, after.VolumeMounts)
}

func sortVariables(variables []corev1.EnvVar) []corev1.EnvVar {
	slices.SortFunc(variables, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return variables
}

// compareMounts compares the mounts of guarded volumes, and those in guarded directories.
func (c *podComparison) compareMounts(at string, before, after []corev1.VolumeMount) {
	own := func(mounts []corev1.VolumeMount) []corev1.VolumeMount {
		kept := slices.DeleteFunc(slices.Clone(mounts), func(mount corev1.VolumeMount) bool {
			isOwnPath := slices.ContainsFunc(c.mounts, func(directory string) bool { return isBelow(mount.MountPath, directory) })
			return !isOwnPath && !slices.Contains(c.volumes, mount.Name)
		})
		slices.SortFunc(kept, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
		return kept
	}
	if !equality.Semantic.DeepEqual(own(before), own(after)) {
		c.addProblem(at, "the mounts at and below %s, and those of the volumes %s, are those of Brane, and must stay", strings.Join(c.mounts, ", "), strings.Join(c.volumes, ", "))
	}
}

// compareUsers checks that the agent in the init container can still write files that the command can change.
func (c *podComparison) compareUsers(base, patched corev1.PodSpec) {
	find := func(containers []corev1.Container, name string) *corev1.SecurityContext {
		for _, container := range containers {
			if container.Name == name && container.SecurityContext != nil {
				return container.SecurityContext
			}
		}
		return &corev1.SecurityContext{}
	}
	isStage := func(container corev1.Container) bool { return container.Name == workflow.StageContainer }
	if !slices.Contains(c.containers, workflow.StageContainer) || !slices.ContainsFunc(base.InitContainers, isStage) {
		return
	}
	stage, step := find(patched.InitContainers, workflow.StageContainer), find(patched.Containers, workflow.StepContainer)
	if !equality.Semantic.DeepEqual(stage.RunAsUser, step.RunAsUser) {
		c.addProblem("spec.containers[name=step].securityContext.runAsUser", "must be that of the init container stage, which writes the files of the step: set spec.securityContext.runAsUser instead")
	}
}

// compareVolumes compares the guarded volumes.
func (c *podComparison) compareVolumes(base, patched []corev1.Volume) {
	for _, name := range c.volumes {
		find := func(volumes []corev1.Volume) *corev1.Volume {
			if i := slices.IndexFunc(volumes, func(volume corev1.Volume) bool { return volume.Name == name }); i >= 0 {
				return &volumes[i]
			}
			return nil
		}
		before, after := find(base), find(patched)
		if name == workflow.DataVolume && before != nil && after != nil && isEmptyDir(*after) {
			continue // its medium and size can be chosen
		}
		if !equality.Semantic.DeepEqual(before, after) {
			c.addProblem("spec.volumes", "volume %q belongs to Brane: remove it from the patch", name)
		}
	}
}

// isEmptyDir reports whether a volume is a directory of the pod that is empty at first.
func isEmptyDir(volume corev1.Volume) bool {
	source := volume.VolumeSource
	if source.EmptyDir == nil {
		return false
	}
	source.EmptyDir = nil
	return source == (corev1.VolumeSource{})
}
