package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Two concurrent applies: the second names the holder, and the first continues.
func TestTwoApplies(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	run := lab.NewRun(lab.Step("only", lab.Wait()))
	run.Options.Holder.Name = "alice@laptop, process 4711"
	first := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the step", lab.Counter.Arrived)

	_, err := runtest.Another(run, "bob").Execute(t.Context())
	var held *workflow.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("the second apply ended with %v", err)
	}
	if want := fmt.Sprintf("run %q is locked by alice@laptop, process 4711; its lease lasts until ", run.Spec.ID); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s…", err, want)
	}
	if left := time.Until(held.Until); left <= 0 || left > run.Options.Holder.Duration {
		t.Errorf("the lease is said to end in %s", left)
	}
	lab.Counter.Release()
	testenv.Receive(t, "the first apply", first).CheckSucceeded(t)
	if n := lab.Counter.Count("only"); n != 1 {
		t.Errorf("the step ran %d times", n)
	}
	// The lease is released: a third apply does not wait for it.
	third := runtest.Another(run, "carol")
	waits := runtest.Heard(third, workflow.RunWaits, "")
	if _, err := third.Execute(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case event := <-waits:
		t.Errorf("the third apply has waited: %s", event.Detail)
	default:
	}
}

// Another process takes over from a holder that has not renewed its lease in time, and the holder does nothing any more.
func TestLostLease(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	run := lab.NewRun(lab.Step("first", lab.Wait()), lab.Step("then", "true", "first"))
	run.Options.Holder.Name = "a sleeper"
	lazy := runtest.Another(run, "a sleeper")
	sleeper, cut := runtest.NewCutClient(t)
	lazy.Clients.Kube = sleeper
	slept := runtest.Execute(t.Context(), lazy)
	testenv.Receive(t, "the step", lab.Counter.Arrived)
	cut(true)

	follower := runtest.Another(run, "a follower")
	waits, adopted := runtest.Heard(follower, workflow.RunWaits, ""), runtest.Heard(follower, workflow.StepAdopted, "first")
	followed := runtest.Execute(t.Context(), follower)
	if event := testenv.Receive(t, "the follower's patience", waits); !strings.HasPrefix(event.Detail, "a sleeper holds its lease until ") {
		t.Errorf("the follower waits as %q", event.Detail)
	}
	testenv.Receive(t, "the follower", adopted)
	cut(false)
	var lost *workflow.LostError
	if ended := testenv.Receive(t, "the sleeper", slept); !errors.As(ended.Err, &lost) || lost.Holder != "a follower" {
		t.Errorf("the sleeper ended with %v", ended.Err)
	}
	lab.Counter.Release()
	testenv.Receive(t, "the follower", followed).CheckSucceeded(t)
	for _, step := range []string{"first", "then"} {
		if n := lab.Counter.Count(step); n != 1 {
			t.Errorf("step %s ran %d times", step, n)
		}
	}
	if jobs := lab.ListJobs(run); len(jobs) != 2 {
		t.Errorf("there are %q", jobs)
	}
}

// A process that slept is interrupted when it wakes up. Another one has taken over its run meanwhile: it stops none of its steps.
func TestSleeperStopsNothing(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	run := lab.NewRun(lab.Chain(true)...)
	var sleeps atomic.Bool
	sleeper := runtest.Another(run, "a sleeper")
	sleeper.Clients.Kube = runtest.NewClient(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if sleeps.Load() && request.Method == http.MethodPut {
			return nil, runtest.NewNetworkError() // it does not renew its lease
		}
		return next.RoundTrip(request)
	})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	slept := runtest.Execute(ctx, sleeper)
	testenv.Receive(t, "the step", lab.Counter.Arrived)
	sleeps.Store(true)

	follower := runtest.Another(run, "a follower")
	adopted := runtest.Heard(follower, workflow.StepAdopted, "s1")
	followed := runtest.Execute(t.Context(), follower)
	testenv.Receive(t, "the follower", adopted)
	sleeps.Store(false)
	interrupt()
	var lost *workflow.LostError
	if ended := testenv.Receive(t, "the sleeper", slept); !errors.As(ended.Err, &lost) || lost.Holder != "a follower" {
		t.Errorf("the sleeper ended with %v", ended.Err)
	}
	if term, err := run.Clients.Results.Files().CancelledTerm(t.Context()); err != nil || term != 0 {
		t.Errorf("the run was cancelled in term %d, %v", term, err)
	}
	lab.Counter.Release()
	testenv.Receive(t, "the follower", followed).CheckSucceeded(t)
	lab.CheckRanOnce(run)
}
