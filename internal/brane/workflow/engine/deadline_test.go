package engine

import (
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// A Job continues after the deadline of the execution that has created it, if a later execution has kept the files of the run. Without one they have expired.
func TestJobsOutliveTheirDeadline(t *testing.T) {
	l, _, _ := openLoop(t, workflow.Step{Name: "a"})
	job, err := l.buildJob("a", 1)
	if err != nil {
		t.Fatal(err)
	}
	of, now := parseAttempt(job), l.lease.Deadline().Add(time.Second)
	for kept, isStale := range map[time.Time]bool{{}: true, now.Add(-time.Minute): true, now.Add(time.Hour): false} {
		execution := *l.Execution
		execution.keptUntil = kept
		l.Execution = &execution
		if got := l.isStale(of, now); got != isStale {
			t.Errorf("kept until %s: the Job is stale: %t", kept, got)
		}
	}
}
