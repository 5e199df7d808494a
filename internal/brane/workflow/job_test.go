package workflow

import (
	"flag"
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestJobIsAsReviewed(t *testing.T) {
	g, err := NewGraph([]Step{
		{Name: "split", Image: "tools:1", Command: []string{"split"}},
		{
			Name: "count", Image: "registry.example.org/tools:1", Command: []string{"sh", "-c"}, Args: []string{"wc -w /data/* > $(hostname).$$"}, Needs: []string{"split"},
			Env: map[string]string{"LANG": "C", "A": "$(LANG)"}, WorkingDir: "/data", Timeout: 10 * time.Minute, RunAsUser: new(int64(1000)),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	run := &Run{
		ID: "wordcount-3f9a1c02", Graph: g, Namespace: "brane", AgentImage: "registry.example.org/brane-agent:1",
		RedisURL: "redis://:hunter2@redis.example.org", deadline: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	job, err := run.job(g.steps["count"], metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: run.objectName(), UID: "0f5c"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := yaml.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/job.yaml"
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
