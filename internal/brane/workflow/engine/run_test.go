package engine_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The API server creates a Job, but its answer is lost: the Job is adopted when it is created again.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	run := lab.NewRun(lab.Chain(false)...)
	adopted := runtest.Heard(run, workflow.StepAdopted, "s1")
	var lost atomic.Bool
	run.Clients.Kube = runtest.NewClient(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/jobs") && lost.CompareAndSwap(false, true) {
			return nil, errors.Join(runtest.NewNetworkError(), response.Body.Close())
		}
		return response, err
	})
	testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
	testenv.Receive(t, "the Job that was there", adopted)
	lab.CheckRanOnce(run)
}

// A process that resumes a run reads the commits first: a committed step gets no Job, even if its Job is gone, for example after its TTL.
func TestCommittedStepsGetNoJob(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	run := lab.NewRun(append(lab.Chain(false), lab.Script("last", lab.FailFirst("last"), "s2"))...)
	if first := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)); first.Err != nil || len(first.Result.Failures) != 1 {
		t.Fatalf("the run ended with %+v, %v", first.Result, first.Err)
	}
	for _, job := range []string{"s1", "s2", "last"} {
		if err := lab.Admin.Delete(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: lab.Namespace, Name: jobspec.JobName(run.Spec.ID, job, 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	var began []string
	run.Options.Observe = func(event workflow.Event) {
		if event.Kind == workflow.StepStarted || event.Kind == workflow.StepAdopted {
			began = append(began, event.Step)
		}
	}
	testenv.Receive(t, "the second process", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
	if !slices.Equal(began, []string{"last"}) {
		t.Errorf("Jobs were made for %q", began)
	}
}

// The next Execute starts a stuck step again without waiting, when what was missing exists.
func TestAStepThatDidNotGetOn(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	step := lab.Step("asks", "test $TOKEN = t0ken")
	step.EnvFromSecret = map[string]workflow.SecretKey{"TOKEN": {Secret: "tokens", Key: "token"}}
	run := lab.NewRun(step)
	run.Spec.Timeouts.Startup = time.Second
	first := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
	if first.Err != nil || len(first.Result.Failures) != 1 || first.Result.Failures[0].Reason != "CreateContainerConfigError" {
		t.Fatalf("the run ended with %+v, %v", first.Result, first.Err)
	}
	if jobs := lab.ListJobs(run); !slices.Equal(jobs, []string{"asks 1"}) {
		t.Errorf("there is %q to look at", jobs)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: lab.Namespace, Name: "tokens"}, StringData: map[string]string{"token": "t0ken"}}
	if err := lab.Admin.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	run.Spec.Timeouts.Startup, run.Options.Observe = 0, func(event workflow.Event) {
		if event.Kind == workflow.RunDisturbed || event.Kind == workflow.StepAdopted {
			t.Errorf("%s", event)
		}
	}
	testenv.Receive(t, "the second process", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
	lab.CheckRanOnce(run)
}

// A Job that is created and deleted while the watch is broken never appears in it; the run must not wait for it for ever.
func TestJobDeletedUnseen(t *testing.T) {
	t.Parallel()
	var blind atomic.Bool
	blind.Store(true)
	lab := runtest.New(t)
	run := lab.NewRun(workflow.Step{Name: "long", Image: clustertest.Getenv(t, "BRANE_TOOLS_IMAGE"), Command: []string{"sleep", "3600"}})
	run.Clients.Kube = runtest.NewClient(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if blind.Load() && request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/jobs") {
			return nil, errors.New("the watch is broken")
		}
		return next.RoundTrip(request)
	})
	run.Options.Observe = func(event workflow.Event) {
		if event.Kind != workflow.StepStarted {
			return
		}
		// The Job is created, and no watch has delivered it yet.
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: run.Spec.Namespace, Name: jobspec.JobName(run.Spec.ID, "long", 1)}}
		if err := lab.Admin.Delete(t.Context(), job); err != nil {
			t.Error(err)
		}
		blind.Store(false)
	}
	result, err := run.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failures) != 1 || result.Failures[0].Reason != workflow.ReasonJobDeleted {
		t.Errorf("the run ended with %+v", result)
	}
	if jobs := lab.ListJobs(run); len(jobs) > 0 {
		t.Errorf("%q are left", jobs)
	}
}

// A prewarmed chain passes its files on, and the early Job of a step whose need fails is deleted.
func TestPrewarm(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	run := l.NewRun(
		l.Step("one", l.Wait()+"; echo 1 > /data/lines"),
		l.Step("two", "echo 2 >> /data/lines", "one"),
		l.Step("three", "echo 3 >> /data/lines; test $(cat /data/lines | wc -l) = 3", "two"),
	)
	run.Spec.Prewarm = true
	early := runtest.Heard(run, workflow.StepStarted, "two")
	ended := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the step", l.Counter.Arrived)
	testenv.Receive(t, "the next step", early)
	if n := l.Counter.Count("two"); n != 0 {
		t.Error("the second step runs before the first has ended")
	}
	l.Counter.Release()
	testenv.Receive(t, "the run", ended).CheckSucceeded(t)
	l.CheckRanOnce(run)

	broken := l.NewRun(l.Step("breaks", "exit 3"), l.Step("never", "true", "breaks"))
	broken.Spec.Prewarm = true
	end := testenv.Receive(t, "the broken run", runtest.Execute(t.Context(), broken))
	if end.Err != nil || len(end.Result.Failures) != 1 || end.Result.Failures[0].Code != 3 || l.Counter.Count("never") != 0 {
		t.Errorf("it ended with %+v, %v", end.Result, end.Err)
	}
	if jobs := l.ListJobs(broken); len(jobs) != 1 {
		t.Errorf("there are %q", jobs)
	}
}
