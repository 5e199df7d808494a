package workflow

import (
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Labels of everything that belongs to a run; the step's is on Jobs and Pods.
const (
	RunLabel  = "brane/run"
	StepLabel = "brane/step"
)

const (
	stageContainer = "stage" // carries the agent and the files into the pod
	stepContainer  = "step"  // the user's program, wrapped by the agent
)

// keepJobs is how long a finished Job stays for people to look at, should nobody destroy the run.
const keepJobs int32 = 7 * 24 * 60 * 60

// job is the Job of one step. The init container copies the agent into the pod and stages the files in; the step's container starts the agent,
// which runs the program and stores what it left. The Redis credential is a file in the init container only.
func (r *Run) job(step Step, owner metav1.OwnerReference) (*batchv1.Job, error) {
	spec, err := agent.Step{Run: r.ID, Name: step.Name, Attempt: 1, Needs: r.Graph.ancestry(step.Name), Deadline: r.deadline.Unix()}.Encode()
	if err != nil {
		return nil, err
	}
	labels := map[string]string{managedByLabel: kube.FieldManager, RunLabel: r.ID, StepLabel: step.Name}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: r.Namespace, Name: objectName("brane", r.ID, step.Name), Labels: labels, OwnerReferences: []metav1.OwnerReference{owner},
	}}
	job.Spec = batchv1.JobSpec{
		BackoffLimit:            new(int32(0)),
		TTLSecondsAfterFinished: new(keepJobs),
		// A pod that a drain or a preemption took is no failure of the step.
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}}},
		PodReplacementPolicy: new(batchv1.Failed), // never two pods of a step at once
		Template:             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: r.pod(step, spec)},
	}
	if step.Timeout > 0 {
		job.Spec.ActiveDeadlineSeconds = new(int64(step.Timeout.Seconds()))
	}
	return job, nil
}

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
