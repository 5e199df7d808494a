package engine

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// A Job that continues has the timeout that its step has now, not that of the execution which has created it.
func TestAdoptedJobGetsTheTimeout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		earlier, now time.Duration
		want         string // the patch
	}{
		"raised":    {time.Minute, time.Hour, `{"spec":{"activeDeadlineSeconds":3600}}`},
		"lowered":   {time.Hour, time.Minute, `{"spec":{"activeDeadlineSeconds":60}}`},
		"removed":   {time.Minute, 0, `{"spec":{"activeDeadlineSeconds":null}}`},
		"added":     {0, time.Minute, `{"spec":{"activeDeadlineSeconds":60}}`},
		"unchanged": {time.Minute, time.Minute, ""},
		"none":      {0, 0, ""},
	} {
		l, _, _ := openLoop(t, workflow.Step{Name: "a", Timeout: tt.now})
		step := l.spec.Graph.Step("a")
		step.Timeout = tt.earlier
		job, err := l.template.BuildStepJob(step, l.newAttempt("a", 1))
		if err != nil {
			t.Fatal(err)
		}
		cluster := &fakeCluster{jobs: []batchv1.Job{*job}}
		next := cluster.nextLoop(t, l.Execution)
		if err := next.recoverProgress(t.Context()); err != nil || next.state.phaseOf("a") != running {
			t.Fatalf("%s: the step is in phase %d, %v", name, next.state.phaseOf("a"), err)
		}
		got := ""
		for _, change := range next.cleanups {
			got += string(change.patch)
		}
		next.cleanUp(t.Context())
		if isChanged := len(cluster.changes) == 1; got != tt.want || isChanged != (tt.want != "") {
			t.Errorf("%s: the patch is %q, and the changes are %s", name, got, fmt.Sprint(cluster.changes))
		}
	}
}
