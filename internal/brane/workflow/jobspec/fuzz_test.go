package jobspec

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// arbitrary returns a step with random values for random fields. NewGraph may reject it.
func arbitrary(random *rand.Rand, name string) workflow.Step {
	maybe := func(do func()) {
		if random.IntN(3) == 0 {
			do()
		}
	}
	step := workflow.Step{Name: name, Image: "registry.example.org/tools:1", Command: []string{"sh", "-c"}, Retries: random.Int32N(5)}
	maybe(func() { step.Env = map[string]string{"LANG": "C", "PRICE": "$5 $(LANG) $$"} })
	maybe(func() { step.EnvFromSecret = map[string]workflow.SecretKey{"TOKEN": {Secret: "hub", Key: "token"}} })
	maybe(func() { step.Timeout = time.Duration(1+random.IntN(1e6)) * time.Second })
	maybe(func() { step.WorkingDir = "/tmp" })
	maybe(func() {
		step.Completions, step.Parallel, step.MaxFailedIndexes = 1+random.IntN(workflow.MaxIndexes), random.Int32N(20), random.Int32N(20)
	})
	maybe(func() {
		step.Items = []string{"a b", "$(HOME) $$", `"<&>`}
		step.Completions = len(step.Items)
	})
	maybe(func() { step.Reads = []string{"corpus/**", "$$"} })
	maybe(func() { step.Writes = []string{"model.*"} })
	for _, list := range []*corev1.ResourceList{&step.Resources.Requests, &step.Resources.Limits} {
		maybe(func() {
			*list = corev1.ResourceList{"cpu": *resource.NewMilliQuantity(random.Int64N(5000), resource.DecimalSI), "memory": *resource.NewQuantity(random.Int64N(1<<34), resource.BinarySI)}
		})
	}
	maybe(func() {
		if step.Resources.Limits == nil {
			step.Resources.Limits = corev1.ResourceList{}
		}
		step.Resources.Limits["nvidia.com/gpu"] = *resource.NewQuantity(random.Int64N(9), resource.DecimalSI)
	})
	maybe(func() {
		step.Placement = workflow.Placement{
			NodeSelector: map[string]string{"disk": "ssd"}, PriorityClassName: "batch", RuntimeClassName: "nvidia",
			Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}},
		}
	})
	maybe(func() { step.ServiceAccountName, step.PullSecrets = "trainer", []string{"registry"} })
	maybe(func() {
		step.SecurityContext = workflow.SecurityContext{
			FSGroup: new(random.Int64N(70_000)), SupplementalGroups: []int64{4000}, ReadOnlyRootFilesystem: true, Capabilities: []string{"NET_RAW"}, SeccompProfile: workflowtest.LocalhostProfile("profiles/train.json"),
		}
		step.AutomountServiceAccountToken = true
	})
	maybe(func() { step.SecurityContext.RunAsUser = new(random.Int64N(70_000)) })
	maybe(func() { step.SecurityContext.RunAsGroup = new(random.Int64N(70_000)) })
	maybe(func() {
		step.Volumes = []workflow.Volume{
			{Name: "cache", MountPath: "/cache", SubPath: "train", Source: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "cache"}}},
			{Name: "tmp", MountPath: "/tmp", Source: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: "settings", MountPath: "/etc/settings", ReadOnly: true, Source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}},
		}
	})
	return step
}

// arbitraryJob returns the Job of a step that needs another one; if the attempt is even, the agent is a volume. ok is false if NewGraph
// rejects the step.
func arbitraryJob(t *testing.T, step workflow.Step, id string, attempt int) (job *batchv1.Job, ok bool) {
	t.Helper()
	step.Needs = []string{"before"}
	g, err := workflow.NewGraph([]workflow.Step{{Name: "before", Image: "tools:1", Command: []string{"true"}}, step})
	if err != nil {
		return nil, false
	}
	template := Template{
		Spec:      &workflow.Spec{ID: id, Graph: g, Namespace: "brane", AgentImage: "registry.example.org/brane-agent:1"},
		Injection: workflow.InjectInitContainer, Deadline: time.Unix(1<<31, 0),
	}
	if attempt%2 == 0 {
		template.Injection = workflow.InjectImageVolume
	}
	template.Owner, template.Secrets = ownerOf(template.Spec), secretsOf(template.Spec)
	job, err = template.BuildStepJob(g.Step(step.Name), Attempt{Number: attempt, Start: checkedStart})
	if err != nil {
		t.Fatalf("a step that can be makes no Job: %v", err)
	}
	return job, true
}

// expanded returns a text as Kubernetes passes it to a command, if it contains no references to variables.
func expanded(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '$' && i+1 < len(text) {
			if text[i+1] == '(' {
				t.Fatalf("Kubernetes would put a variable into %q", text)
			}
			if text[i+1] == '$' {
				i++
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// FuzzJob checks that every step that NewGraph accepts becomes a Job with valid names and labels, without secrets and of valid size, whose
// command and agent get the values of the step.
func FuzzJob(f *testing.F) {
	for seed := range uint64(16) { // so that every field is among them
		f.Add(seed, "count", "wordcount-3f9a1c0227d5e8b4", "wc -w /data/* > $(hostname).$$", "$(LANG) $$$", "it $$ em", "s3cret")
		f.Add(seed, strings.Repeat("a", workflow.MaxName), strings.Repeat("b", workflow.MaxName)+"-3f9a1c0227d5e8b4", strings.Repeat("<", 100_000), "\u2028", strings.Repeat("<&>", 10_000), "$$")
		f.Add(seed, "a--b", "0-3f9a1c0227d5e8b4", "", "", "", "")
	}
	f.Fuzz(func(t *testing.T, seed uint64, name, id, arg, value, item, secret string) {
		random := rand.New(rand.NewPCG(seed, 3))
		for _, text := range []string{arg, value, item, secret} {
			if !utf8.ValidString(text) {
				return // Terraform has only UTF-8 texts
			}
		}
		if base, _, _ := strings.Cut(id, "-"); workflow.CheckName(base) != "" || len(id) > workflow.MaxName+17 || len(validation.IsDNS1123Label(id)) > 0 || name == "before" {
			return // ids do not have this form
		}
		step := arbitrary(random, name)
		step.Args = []string{arg}
		step.Env = map[string]string{"VALUE": value}
		if len(step.Items) > 0 {
			step.Items[0] = item
		}
		step.SecretEnv = map[string]string{"SECRET": "fuzz-secret " + secret}
		attempt := 1 + random.IntN(10_000)
		job, ok := arbitraryJob(t, step, id, attempt)
		if !ok {
			return
		}
		text, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		var again batchv1.Job
		if err := json.Unmarshal(text, &again); err != nil || !equality.Semantic.DeepEqual(&again, job) {
			t.Errorf("sent to the server it is another Job: %v", err)
		}
		if len(text) > 3<<20 {
			t.Errorf("the Job has %d bytes", len(text))
		}
		if strings.Contains(string(text), "fuzz-secret") {
			t.Errorf("the Job holds a secret: %s", text)
		}
		namesFit(t, job, step)
		programReads(t, job, step)
	})
}

// namesFit checks the names and labels of a Job and its pods.
func namesFit(t *testing.T, job *batchv1.Job, step workflow.Step) {
	t.Helper()
	pod := job.Name
	if step.IsIndexed() {
		pod += fmt.Sprint("-", step.Completions-1)
	}
	for _, name := range []string{job.Name, pod} {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("name %q: %q", name, problems)
		}
	}
	for _, labels := range []map[string]string{job.Labels, job.Spec.Template.Labels} {
		for key, value := range labels {
			if problems := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)); len(problems) > 0 {
				t.Errorf("label %s=%q: %q", key, value, problems)
			}
		}
	}
}

// programReads checks that a step's command and its agent get the values of the step.
func programReads(t *testing.T, job *batchv1.Job, step workflow.Step) {
	t.Helper()
	pod := job.Spec.Template.Spec
	command, given := agent.RunCommand, pod.Containers[0].Env
	var handed []corev1.EnvVar
	if len(pod.InitContainers) > 0 {
		handed = pod.InitContainers[0].Env
	} else {
		command = agent.AloneCommand
		given, handed = given[:len(given)-len(agent.Handed)], given[len(given)-len(agent.Handed):]
	}
	told := command(slices.Concat(step.Command, step.Args))
	for i, text := range pod.Containers[0].Command {
		if got := expanded(t, text); got != told[i] {
			t.Errorf("argument %d is %q, not %q", i, got, told[i])
		}
	}
	env := map[string]string{}
	for _, variable := range given {
		if _, twice := env[variable.Name]; twice {
			t.Errorf("variable %s is there twice", variable.Name)
		}
		env[variable.Name] = expanded(t, variable.Value)
	}
	maps.DeleteFunc(env, func(name, _ string) bool {
		_, isSecret := step.SecretEnv[name]
		_, isFromSecret := step.EnvFromSecret[name]
		return isSecret || isFromSecret
	})
	if !maps.Equal(env, step.Env) {
		t.Errorf("the environment is %q, not %q", env, step.Env)
	}
	spec := expanded(t, handed[0].Value)
	if size := len(agent.EnvStep) + 1 + len(spec); size > workflow.MaxText {
		t.Errorf("what the agent is told has %d bytes, Linux takes %d", size, workflow.MaxText)
	}
	got, err := agent.ParseStep([]byte(spec))
	if err != nil || got.Items != files.DigestItems(step.Items) || !slices.Equal(got.Reads, step.Reads) || !slices.Equal(got.Writes, step.Writes) || got.Name != step.Name || got.Indexed != step.IsIndexed() {
		t.Errorf("the agent is told %+v, %v", got, err)
	}
}

// The API server accepts the Job of every step that NewGraph accepts, in a dry run.
func TestEveryJobIsTaken(t *testing.T) {
	t.Parallel()
	client, namespace := clustertest.Client(t), clustertest.Namespace(t)
	taken := 0
	for seed := range uint64(150) {
		step := arbitrary(rand.New(rand.NewPCG(seed, 3)), "step")
		step.Placement.PriorityClassName, step.Placement.RuntimeClassName = "", "" // the server requires that these exist
		job, ok := arbitraryJob(t, step, "taken-3f9a1c0227d5e8b4", 1+int(seed%2))
		if !ok {
			continue
		}
		taken++
		job.Namespace = namespace
		if err := client.DryRunCreate(t.Context(), job); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	if taken < 50 {
		t.Errorf("only %d of the steps passed NewGraph", taken)
	}
	for name, character := range map[string]string{"plain": "x", "doubled": "$", "escaped": "<"} {
		step := workflow.Step{Name: "large", Image: "tools:1", Command: []string{"true"}}
		for range 5 {
			step.Args = append(step.Args, strings.Repeat(character, 100_000))
		}
		job, ok := arbitraryJob(t, step, "taken-3f9a1c0227d5e8b4", 1)
		if !ok {
			continue // refused while planning
		}
		job.Namespace = namespace
		if err := client.DryRunCreate(t.Context(), job); err != nil {
			t.Errorf("half a MiB of arguments, %s: %v", name, err)
		}
	}
}
