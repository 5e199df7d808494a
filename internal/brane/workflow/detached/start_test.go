package detached_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
)

// startAndDie starts an engine for a run up to this number of changes in the cluster; before the next one the process is killed.
func startAndDie(t *testing.T, run *runtest.Run, token string, changes int) {
	run.Clients.Kube = runtest.NewClientAs(t, token, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if request.Method != http.MethodGet && !strings.HasSuffix(request.URL.Path, "selfsubjectreviews") {
			if changes--; changes < 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // it does not return
			}
		}
		return next.RoundTrip(request)
	})
	t.Error(detached.Start(t.Context(), run.Spec, run.Clients, run.Options, nil))
}

// TestChild is not a test: it is the process that other tests kill.
func TestChild(t *testing.T) {
	runtest.RunChild(t, func(run *runtest.Run, child runtest.Child) { startAndDie(t, run, child.Token, child.Changes) })
}

// The process that starts an engine is killed in between: the next one starts it again, one engine executes the run, and nothing runs
// twice.
func TestKilledWhileStarting(t *testing.T) {
	t.Parallel()
	// The changes are: the record, the Secret of the pods, the configuration of the engine, its Secret, its Job, and the end of the lease.
	for _, changes := range []int{1, 3, 4, 5} {
		t.Run(fmt.Sprintf("after %d of 6 changes", changes), func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			run := l.NewRun(l.Chain(false)...)
			token := l.CreateAccount("runner")
			child := l.StartProcess(runtest.Child{
				ID: run.Spec.ID, Namespace: run.Spec.Namespace, Steps: run.Spec.Graph.All(), Lease: run.Options.Holder.Duration, Token: token, Changes: changes,
			})
			if err := child.Wait(); err == nil || child.ProcessState.String() != "signal: killed" {
				t.Fatalf("the first process ended with %v", err)
			}
			run.Clients.Kube = runtest.NewClientAs(t, token, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
				return next.RoundTrip(request)
			})
			if err := detached.Start(t.Context(), run.Spec, run.Clients, run.Options, nil); err != nil {
				t.Fatal(err)
			}
			ctx, done := context.WithTimeout(t.Context(), 2*time.Minute)
			defer done()
			found, err := detached.Wait(ctx, run.Clients.Kube, run.Spec.Ref(), nil)
			if err != nil || found.Status != workflow.RunSucceeded {
				t.Fatalf("the run stands at %+v, %v", found, err)
			}
			l.CheckRanOnce(run)
			var engines batchv1.JobList
			if err := l.Admin.List(t.Context(), &engines, l.Namespace, workflow.EngineLabel); err != nil {
				t.Fatal(err)
			}
			if want := 1 + changes/5; len(engines.Items) != want { // the engine of the first process finds that the run belongs to another engine
				t.Errorf("there are %d engines", len(engines.Items))
			}
		})
	}
}

// An engine of another version than the provider does not run the workflow, and reports both versions.
func TestEngineOfAnotherVersion(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	run := l.NewRun(l.Step("a", "true"))
	run.Spec.Version = "9.9.9"
	run.Clients.Kube = runtest.NewClientAs(t, l.CreateAccount("runner"), func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		return next.RoundTrip(request)
	})
	if err := detached.Start(t.Context(), run.Spec, run.Clients, run.Options, nil); err != nil {
		t.Fatal(err)
	}
	status, err := detached.Wait(t.Context(), run.Clients.Kube, run.Spec.Ref(), nil)
	if want := "the engine has version dev, but the provider that started it has version 9.9.9"; err != nil || status.Status != workflow.RunStopped || !strings.Contains(status.Reason(), want) {
		t.Errorf("got %s: %s, %v", status.Status, status.Reason(), err)
	}
	if started := l.Counter.Count("a"); started != 0 {
		t.Errorf("the step was started %d times", started)
	}
}
