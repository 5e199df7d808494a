package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// Whoever invoked an action learns that steps continue after an outage.
func TestContinuingStepsAreReported(t *testing.T) {
	client, err := kube.New(&rest.Config{Host: "https://203.0.113.7:6443"})
	if err != nil {
		t.Fatal(err)
	}
	run := &workflowRun{spec: &workflow.Spec{ID: "nightly-1", Namespace: "brane"}, clients: engine.Clients{Kube: client}}
	var diags diag.Diagnostics
	workflowRunModel{}.reportUnfinished(&diags, run, &workflow.StepsContinueError{Err: errors.New("refused")}, invokeAgain(invoking))
	const want = `The running steps of "nightly-1" were not stopped. The next invocation runs all steps again, because reuse is not set.`
	if warnings := diags.Warnings(); diags.ErrorsCount() != 1 || len(warnings) != 1 || warnings[0].Summary() != "Run continues" || warnings[0].Detail() != want {
		t.Errorf("got  %q\nwant an error, and the warning %s", diags, want)
	}
}

// The error of a run that has not finished says why, what its steps do, and how to continue, in the resource and in the action.
func TestUnfinishedRunsAreExplained(t *testing.T) {
	client, err := kube.New(&rest.Config{Host: "https://203.0.113.7:6443"})
	if err != nil {
		t.Fatal(err)
	}
	run := &workflowRun{spec: &workflow.Spec{ID: "nightly-1", Namespace: "brane"}, clients: engine.Clients{Kube: client}}
	limited, done := attribute.WithTimeout(t.Context(), "update", time.Nanosecond)
	defer done()
	<-limited.Done()
	timeout := fmt.Errorf("%w; at that time:\n  step \"slow\": running", context.Cause(limited))
	const tried = `Running "nightly-1" in namespace "brane" of the cluster at https://203.0.113.7:6443: `
	for name, tt := range map[string]struct {
		err             error
		again           string
		summary, detail string
	}{
		"timeout": {
			timeout, applyAgain, "Run timed out",
			tried + "not finished after 1ns (timeouts.update); at that time:\n  step \"slow\": running.\n\nThe running steps were stopped. Raise timeouts.update if the run needs more time. " +
				"Apply again to resume the run: completed steps do not run again. Or destroy it.",
		},
		"timeout of steps that were not stopped": {
			&workflow.NotStoppedError{Err: timeout, Stop: errors.New("redis cannot be reached")}, applyAgain, "Run timed out",
			tried + "not finished after 1ns (timeouts.update); at that time:\n  step \"slow\": running.\n\nStopping the running steps failed, so they may continue: redis cannot be reached. " +
				"Raise timeouts.update if the run needs more time. Apply again to resume the run: completed steps do not run again. Or destroy it.",
		},
		"interrupt": {
			context.Canceled, applyAgain, "Run interrupted",
			`Interrupted while running "nightly-1" in namespace "brane". The running steps were stopped. Apply again to resume the run: completed steps do not run again. Or destroy it.`,
		},
		"interrupt of an action": {
			context.Canceled, invokeAgain(invoking), "Run interrupted",
			`Interrupted while running "nightly-1" in namespace "brane". The running steps were stopped. The next invocation runs all steps again, because reuse is not set.`,
		},
		"interrupt of an action with reuse": {
			context.Canceled, invokeAgain(reusing), "Run interrupted",
			`Interrupted while running "nightly-1" in namespace "brane". The running steps were stopped. The next invocation resumes the run: completed steps do not run again.`,
		},
		"something else": {errors.New("refused"), applyAgain, "Failed to finish run", tried + "refused."},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			workflowRunModel{}.reportUnfinished(&diags, run, tt.err, tt.again)
			if len(diags) != 1 || diags[0].Summary() != tt.summary || diags[0].Detail() != tt.detail {
				t.Errorf("got  %q\nwant %s: %s", diags, tt.summary, tt.detail)
			}
		})
	}
}
