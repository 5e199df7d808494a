package jobspec

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// jobOf returns the Job of one of these steps, in a run with fixed values.
func jobOf(t *testing.T, injection workflow.AgentInjection, name string, steps ...workflow.Step) *batchv1.Job {
	t.Helper()
	g, err := workflow.NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	spec := &workflow.Spec{ID: "wordcount-3f9a1c0227d5e8b4", Graph: g, Namespace: "brane", AgentImage: "registry.example.org/brane-agent:1"}
	template := Template{Spec: spec, Injection: injection, Deadline: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Owner: ownerOf(spec), Secrets: secretsOf(spec)}
	job, err := template.BuildStepJob(g.Step(name), Attempt{Number: 1, Term: 1, HasNoFiles: hasFiles})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// hasFiles is the HasNoFiles of a run whose steps all have files.
func hasFiles(string) bool { return false }

// ownerOf returns the owner of the objects of a run.
func ownerOf(spec *workflow.Spec) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: spec.Ref().ObjectName(), UID: "0f5c"}
}

// secretsOf returns the names of the Secrets of a run's first holder.
func secretsOf(spec *workflow.Spec) Secrets {
	return Secrets{Access: spec.Ref().AccessName("0f5c-1"), Env: spec.Ref().SecretEnvName("0f5c-1")}
}

func TestJobIsAsReviewed(t *testing.T) {
	split := workflow.Step{Name: "split", Image: "tools:1", Command: []string{"split"}}
	count := workflow.Step{
		Name: "count", Image: "registry.example.org/tools:1", Command: []string{"sh", "-c"}, Args: []string{"wc -w /data/* > $(hostname).$$"}, Needs: []string{"split"},
		Env: map[string]string{"LANG": "C", "A": "$(LANG)"}, WorkingDir: "/data", Timeout: 10 * time.Minute, SecurityContext: workflow.SecurityContext{RunAsUser: new(int64(1000))},
	}
	for file, step := range map[string]workflow.Step{
		"job.yaml":             count,
		"job-volume.yaml":      count,
		"job-volume-full.yaml": workflowtest.FullStep(),
		"job-volume-call.yaml": {
			Name: "call", Image: "registry.example.org/library/text:1.0.0", Command: []string{"/branelet"}, Call: &workflow.Call{Package: "text:1.0.0", Brane: branelet.V05, Kind: branelet.ECU, Function: "upper"},
		},
		"job-full.yaml": workflowtest.FullStep(),
		"job-many.yaml": {Name: "many", Image: "tools:1", Command: []string{"work"}, Needs: []string{"split"}, Completions: 3, Items: []string{"a", "b b", "c"}, Parallel: 2, MaxFailedIndexes: 1},
	} {
		t.Run(file, func(t *testing.T) {
			injection := workflow.InjectInitContainer
			if strings.Contains(file, "volume") {
				injection = workflow.InjectImageVolume
			}
			isAsReviewed(t, file, jobOf(t, injection, step.Name, split, step))
		})
	}
}

// The Job of an engine, with all its labels.
func TestEngineJobIsAsReviewed(t *testing.T) {
	spec := &workflow.Spec{ID: "wordcount-3f9a1c0227d5e8b4", Namespace: "brane", AgentImage: "registry.example.org/brane-agent:1"}
	resources, err := Policies{}.FitEngine(spec.Graph, workflow.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	job, err := BuildEngineJob(spec, "brane-wordcount-3f9a1c0227d5e8b4-engine-1", "runs", secretsOf(spec), ownerOf(spec), resources)
	if err != nil {
		t.Fatal(err)
	}
	isAsReviewed(t, "engine-job.yaml", job)
}

// isAsReviewed compares a Job with a golden file.
func isAsReviewed(t *testing.T, file string, job *batchv1.Job) {
	t.Helper()
	got, err := yaml.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the Job is not as in %s; if that is meant, run the test with -update and review the difference\n%s", golden, got)
	}
}
