package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Two concurrent applies: the second names the holder, and the first continues.
func TestTwoApplies(t *testing.T) {
	t.Parallel()
	lab := newLab(t)
	run := lab.run(lab.step("only", lab.wait()))
	run.Holder = "alice@laptop, process 4711"
	first := execute(t.Context(), run)
	await(t, "the step", lab.counter.arrived)

	_, err := another(run, "bob").Execute(t.Context())
	var held *workflow.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("the second apply ended with %v", err)
	}
	if want := fmt.Sprintf("run %q is locked by alice@laptop, process 4711; its lease lasts until ", run.ID); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s…", err, want)
	}
	if left := time.Until(held.Until); left <= 0 || left > run.leaseTime {
		t.Errorf("the lease is said to end in %s", left)
	}
	lab.counter.release()
	await(t, "the first apply", first).succeeds(t)
	if n := lab.counter.of("only"); n != 1 {
		t.Errorf("the step ran %d times", n)
	}
	// The lease is released: a third apply does not wait for it.
	third := another(run, "carol")
	waits := heard(third, workflow.RunWaits, "")
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
	lab := newLab(t)
	run := lab.run(lab.step("first", lab.wait()), lab.step("then", "true", "first"))
	run.Holder = "a sleeper"
	lazy := another(run, "a sleeper")
	sleeper, cut := cutOff(t)
	lazy.Kube = sleeper
	slept := execute(t.Context(), lazy)
	await(t, "the step", lab.counter.arrived)
	cut(true)

	follower := another(run, "a follower")
	waits, adopted := heard(follower, workflow.RunWaits, ""), heard(follower, workflow.StepAdopted, "first")
	followed := execute(t.Context(), follower)
	if event := await(t, "the follower's patience", waits); !strings.HasPrefix(event.Detail, "a sleeper holds its lease until ") {
		t.Errorf("the follower waits as %q", event.Detail)
	}
	await(t, "the follower", adopted)
	cut(false)
	var lost *workflow.LostError
	if ended := await(t, "the sleeper", slept); !errors.As(ended.err, &lost) || lost.Holder != "a follower" {
		t.Errorf("the sleeper ended with %v", ended.err)
	}
	lab.counter.release()
	await(t, "the follower", followed).succeeds(t)
	for _, step := range []string{"first", "then"} {
		if n := lab.counter.of(step); n != 1 {
			t.Errorf("step %s ran %d times", step, n)
		}
	}
	if jobs := lab.jobs(run); len(jobs) != 2 {
		t.Errorf("there are %q", jobs)
	}
}
