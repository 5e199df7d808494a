package engine_test

import (
	"context"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// A step fails while no process executes the run. If its failure is allowed, it is final for the next execution, as if it had been stored; otherwise the
// step runs again.
func TestFailureWithoutAProcess(t *testing.T) {
	t.Parallel()
	for name, isAllowed := range map[string]bool{"allowed": true, "not allowed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			risky, after := l.Step("risky", l.Wait()+"; exit 3"), l.Step("after", "true", "risky")
			risky.AllowFailure, after.When = isAllowed, workflow.Always
			run := l.NewRun(risky, after)
			child := l.StartChild(run)
			testenv.Receive(t, "the step", l.Counter.Arrived)
			runtest.Kill(t, child)
			l.Counter.Release()
			testenv.Await(t, "the Job to fail", func(ctx context.Context) (bool, error) {
				var jobs batchv1.JobList
				if err := l.Admin.List(ctx, &jobs, l.Namespace, run.Spec.Ref().StepsSelector()); err != nil || len(jobs.Items) != 1 {
					return false, err
				}
				_, hasFailed := engine.FindJobFailure(&jobs.Items[0])
				return hasFailed, nil
			})
			end := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
			attempts := map[bool]int{true: 1, false: 2}[isAllowed]
			end.CheckSteps(t, map[string]runtest.StepEnd{
				"risky": {Status: workflow.Failed, Code: 3, Attempts: attempts}, "after": {Status: workflow.Succeeded, Attempts: 1},
			})
			if n := l.Counter.Count("risky"); n != attempts || len(end.Result.Allowed) != 2-attempts {
				t.Errorf("the step ran %d times, and the result is %+v", n, end.Result)
			}
		})
	}
}
