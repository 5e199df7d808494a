package jobspec

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// jobOf returns the Job of the first attempt of one of these steps, in a run with fixed values.
func jobOf(t *testing.T, injection workflow.AgentInjection, attempt Attempt, name string, steps ...workflow.Step) *batchv1.Job {
	t.Helper()
	g, err := workflow.NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	spec := &workflow.Spec{ID: "wordcount-3f9a1c0227d5e8b4", Graph: g, Namespace: "brane", AgentImage: "registry.example.org/brane-agent:1"}
	template := Template{Spec: spec, Injection: injection, Deadline: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Owner: ownerOf(spec), Secrets: secretsOf(spec)}
	attempt.Number, attempt.Term = 1, 1
	job, err := template.BuildStepJob(g.Step(name), attempt)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

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
			isAsReviewed(t, file, jobOf(t, injection, Attempt{Start: checkedStart}, step.Name, split, step))
		})
	}
}

// A Job that is created before the needs of its step have ended describes how its agent finds them; any other Job, the files with which the step starts.
func TestJobBeforeItsNeeds(t *testing.T) {
	steps := workflowtest.Steps("a", "b: a", "c: b")
	needs := map[string]files.Fingerprint{"b": files.NewFingerprint(checkedStart.Seen, checkedStart.Seen)}
	early, found := FindAgentStep(jobOf(t, workflow.InjectInitContainer, Attempt{Needs: needs}, "c", steps...))
	if want := map[string][]string{"a": nil, "b": {"a"}, "c": {"b"}}; !found || !early.Ahead || early.Layer != "" || early.Seen != "" || !maps.Equal(early.Fingerprints, needs) || fmt.Sprint(early.Needs) != fmt.Sprint(want) {
		t.Errorf("early, it is %+v", early)
	}
	later, found := FindAgentStep(jobOf(t, workflow.InjectInitContainer, Attempt{Start: checkedStart}, "c", steps...))
	if !found || later.Ahead || later.Layer != checkedStart.Layer || later.Seen != checkedStart.Seen || later.Needs != nil || later.Fingerprints != nil || later.Configuration != early.Configuration {
		t.Errorf("later, it is %+v", later)
	}
	if other, found := FindAgentStep(&batchv1.Job{}); found {
		t.Errorf("a Job of something else describes %+v", other)
	}
}

// A Job may run only some of the indexes of its step: then its completion indexes are their positions.
func TestJobOfSomeIndexes(t *testing.T) {
	for name, tt := range map[string]struct {
		step                workflow.Step
		indexes             []int
		completions, atOnce int32
	}{
		"all":                  {workflow.Step{Completions: 4, Items: []string{"a", "b", "c", "d"}, Parallel: 3}, nil, 4, 3},
		"some":                 {workflow.Step{Completions: 4, Items: []string{"a", "b", "c", "d"}}, []int{1, 3}, 2, 2},
		"some without items":   {workflow.Step{Completions: 4}, []int{1, 3}, 2, 2},
		"fewer than at once":   {workflow.Step{Completions: 4, Parallel: 3}, []int{2}, 1, 1},
		"more than at once":    {workflow.Step{Completions: 4, Parallel: 2}, []int{0, 1, 2}, 3, 2},
		"the first among all":  {workflow.Step{Completions: 1, Items: []string{"a"}}, nil, 1, 1},
		"more than by default": {workflow.Step{Completions: 10_000}, nil, 10_000, 100},
		"all of many":          {workflow.Step{Completions: 10_000, Parallel: 10_000}, nil, 10_000, 10_000},
	} {
		tt.step.Name = "fan"
		job := jobOf(t, workflow.InjectInitContainer, Attempt{Start: checkedStart, Indexes: tt.indexes}, "fan", tt.step)
		if *job.Spec.Completions != tt.completions || *job.Spec.Parallelism != tt.atOnce || *job.Spec.MaxFailedIndexes != tt.completions {
			t.Errorf("%s: %d indexes, %d at once, of which %d may fail", name, *job.Spec.Completions, *job.Spec.Parallelism, *job.Spec.MaxFailedIndexes)
		}
		if told, found := FindAgentStep(job); !found || !slices.Equal(told.Indexes.List(), tt.indexes) || told.Items != files.DigestItems(tt.step.Items) {
			t.Errorf("%s: the agents get %+v", name, told)
		}
	}
}

// The items of a step are not part of its Job, and the indexes that run need little room.
func TestItemsAreNotInTheJob(t *testing.T) {
	step := workflow.Step{Name: "fan", Completions: 10_000}
	for i := range step.Completions {
		step.Items = append(step.Items, fmt.Sprintf("item-%d-%s", i, strings.Repeat("x", 1000)))
	}
	var odd []int
	for index := 1; index < step.Completions; index += 2 {
		odd = append(odd, index)
	}
	for name, indexes := range map[string][]int{"all": nil, "each second": odd} {
		text, err := json.Marshal(jobOf(t, workflow.InjectInitContainer, Attempt{Start: checkedStart, Indexes: indexes}, "fan", step))
		if err != nil || strings.Contains(string(text), "item-") || len(text) > 6<<10 {
			t.Errorf("%s: the Job has %d bytes, %v", name, len(text), err)
		}
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

// A Job with more needs than fit into the description for the agent is not created early.
func TestManyNeedsAreTooManyForAnEarlyJob(t *testing.T) {
	t.Parallel()
	last, needs := workflow.Step{Name: "last", Image: "tools:1", Command: []string{"work"}}, map[string]files.Fingerprint{}
	var steps []workflow.Step
	for i := range 1500 {
		step := workflow.Step{Name: fmt.Sprintf("step-with-a-name-of-40-characters-%06d", i), Image: "tools:1", Command: []string{"work"}}
		steps, last.Needs = append(steps, step), append(last.Needs, step.Name)
		needs[step.Name] = files.NewFingerprint(strings.Repeat("0", files.FingerprintPart), strings.Repeat("0", files.FingerprintPart))
	}
	g := workflowtest.GraphOf(t, append(steps, last)...)
	template := Template{Spec: &workflow.Spec{ID: "run", Graph: g}, Injection: workflow.InjectInitContainer, Deadline: time.Unix(1, 0)}
	if _, err := template.BuildStepJob(g.Step("last"), Attempt{Number: 1, Needs: needs}); !errors.Is(err, ErrTooManyNeeds) {
		t.Errorf("early: %v", err)
	}
	if _, err := template.BuildStepJob(g.Step("last"), Attempt{Number: 1, Start: checkedStart}); err != nil {
		t.Errorf("when its needs have ended: %v", err)
	}
}
