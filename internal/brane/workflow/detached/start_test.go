package detached_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
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
			ctx := testenv.Context(t)
			found, err := detached.Wait(ctx, run.Clients.Kube, run.Spec.Ref(), nil)
			if err != nil || found.Status != workflow.RunSucceeded {
				t.Fatalf("the run stands at %+v, %v", found, err)
			}
			l.CheckRanOnce(run)
			if engines := listEngines(t, l); len(engines) != 1 { // that of the first process is deleted
				t.Errorf("the engines are %q", engines)
			}
		})
	}
}

// listEngines returns the Jobs of the engines of a run.
func listEngines(t *testing.T, l *runtest.Lab) (names []string) {
	t.Helper()
	var engines batchv1.JobList
	if err := l.Admin.List(t.Context(), &engines, l.Namespace, workflow.EngineLabel); err != nil {
		t.Fatal(err)
	}
	for _, engine := range engines.Items {
		names = append(names, engine.Name)
	}
	return names
}

// A run is changed while an engine executes it. The engine continues if nothing has changed; otherwise another one replaces it, and adopts the Job of the step
// that did not change.
func TestChangedWhileRunning(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	first := l.Step("first", l.Wait()+"; echo 1 > /data/one")
	run := l.NewRun(first, l.Script("second", "exit 7", "first"))
	run.Clients.Kube = runtest.NewClientAs(t, l.CreateAccount("runner"), func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		return next.RoundTrip(request)
	})
	changed := l.Change(run, first, l.Step("second", "cat /data/one", "first"))
	var engines [3][]string
	for i, each := range []*runtest.Run{run, run, changed} {
		if err := detached.Start(t.Context(), each.Spec, each.Clients, each.Options, nil); err != nil {
			t.Fatal(err)
		}
		engines[i] = listEngines(t, l)
		if i == 0 {
			testenv.Receive(t, "the first step", l.Counter.Arrived)
		}
	}
	if len(engines[0]) != 1 || !slices.Equal(engines[0], engines[1]) || len(engines[2]) != 1 || slices.Equal(engines[1], engines[2]) {
		t.Errorf("the engines are %q", engines)
	}
	l.Counter.Release()
	ctx := testenv.Context(t)
	if found, err := detached.Wait(ctx, run.Clients.Kube, run.Spec.Ref(), nil); err != nil || found.Status != workflow.RunSucceeded {
		t.Fatalf("the run stands at %s: %s, %v", found.Status, found.Reason(), err)
	}
	l.CheckRanOnce(changed)
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
