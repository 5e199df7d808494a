package engine

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
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// The API server creates a Job, but its answer is lost: the Job is adopted when it is created again.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	lab := newLab(t)
	run := lab.run(lab.chain(false)...)
	adopted := heard(run, workflow.StepAdopted, "s1")
	var lost atomic.Bool
	run.Kube = through(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/jobs") && lost.CompareAndSwap(false, true) {
			return nil, errors.Join(&cable{errors.New("the cable is pulled")}, response.Body.Close())
		}
		return response, err
	})
	await(t, "the run", execute(t.Context(), run)).succeeds(t)
	await(t, "the Job that was there", adopted)
	lab.ranOnce(run)
}

// A process that resumes a run reads the commits first: a committed step gets no Job, even if its Job is gone, for example after its TTL.
func TestCommittedStepsGetNoJob(t *testing.T) {
	t.Parallel()
	lab := newLab(t)
	run := lab.run(append(lab.chain(false), lab.script("last", lab.second("last"), "s2"))...)
	if first := await(t, "the run", execute(t.Context(), run)); first.err != nil || len(first.result.Failures) != 1 {
		t.Fatalf("the run ended with %+v, %v", first.result, first.err)
	}
	if err := run.deleteJobs(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var began []string
	run.Observe = func(event workflow.Event) {
		if event.Kind == workflow.StepStarted || event.Kind == workflow.StepAdopted {
			began = append(began, event.Step)
		}
	}
	await(t, "the second process", execute(t.Context(), run)).succeeds(t)
	if !slices.Equal(began, []string{"last"}) {
		t.Errorf("Jobs were made for %q", began)
	}
}

// The next Execute starts a stuck step again without waiting, when what was missing exists.
func TestAStepThatDidNotGetOn(t *testing.T) {
	t.Parallel()
	lab := newLab(t)
	step := lab.step("asks", "test $TOKEN = t0ken")
	step.EnvFromSecret = map[string]workflow.SecretKey{"TOKEN": {Secret: "tokens", Key: "token"}}
	run := lab.run(step)
	run.Timeouts.Startup = time.Second
	first := await(t, "the run", execute(t.Context(), run))
	if first.err != nil || len(first.result.Failures) != 1 || first.result.Failures[0].Reason != "CreateContainerConfigError" {
		t.Fatalf("the run ended with %+v, %v", first.result, first.err)
	}
	if jobs := lab.jobs(run); !slices.Equal(jobs, []string{"asks 1"}) {
		t.Errorf("there is %q to look at", jobs)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: lab.namespace, Name: "tokens"}, StringData: map[string]string{"token": "t0ken"}}
	if err := lab.admin.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	run.Timeouts.Startup, run.Observe = 0, func(event workflow.Event) {
		if event.Kind == workflow.RunDisturbed || event.Kind == workflow.StepAdopted {
			t.Errorf("%s", event)
		}
	}
	await(t, "the second process", execute(t.Context(), run)).succeeds(t)
	lab.ranOnce(run)
}

// A Job that is created and deleted while the watch is broken never appears in it; the run must not wait for it for ever.
func TestJobDeletedUnseen(t *testing.T) {
	t.Parallel()
	var blind atomic.Bool
	blind.Store(true)
	lab := newLab(t)
	run := lab.run(workflow.Step{Name: "long", Image: clustertest.Getenv(t, "BRANE_TOOLS_IMAGE"), Command: []string{"sleep", "3600"}})
	run.Kube = through(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if blind.Load() && request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/jobs") {
			return nil, errors.New("the watch is broken")
		}
		return next.RoundTrip(request)
	})
	run.Observe = func(event workflow.Event) {
		if event.Kind != workflow.StepStarted {
			return
		}
		// The Job is created, and no watch has delivered it yet.
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: jobName(run.ID, "long", 1)}}
		if err := lab.admin.Delete(t.Context(), job); err != nil {
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
	if jobs := lab.jobs(run); len(jobs) > 0 {
		t.Errorf("%q are left", jobs)
	}
}
