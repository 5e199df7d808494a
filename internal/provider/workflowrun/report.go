package workflowrun

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// reportFailures adds an error for each failed step. The first one contains how many steps did not run because of it.
func reportFailures(diags *diag.Diagnostics, name string, result workflow.Result) {
	left := 0
	for _, step := range result.Steps {
		if step.Status == workflow.Stopped || step.Status == workflow.Skipped {
			left++
		}
	}
	for i, failure := range result.Failures {
		detail := failure.Detail()
		if i == 0 && left > 0 {
			detail += fmt.Sprintf("\n\nBecause of this %d of %d steps were stopped or not started.", left, len(result.Steps))
		}
		diags.AddAttributeError(path.Root("steps").AtMapKey(failure.Step), fmt.Sprintf("Step %q of run %q failed", failure.Step, name), detail)
	}
}

// reportAllowed adds a warning for each failed step with allow_failure.
func reportAllowed(diags *diag.Diagnostics, name string, result workflow.Result) {
	for _, failure := range result.Allowed {
		diags.AddAttributeWarning(path.Root("steps").AtMapKey(failure.Step), fmt.Sprintf("Step %q of run %q failed (allow_failure is set)", failure.Step, name), failure.Detail())
	}
}

// reportOutputs adds an error for outputs that could not be read, on the output if the error is about one.
func reportOutputs(diags *diag.Diagnostics, id string, paths map[string]string, err error) {
	var missing *files.MissingError
	if errors.As(err, &missing) {
		for _, name := range slices.Sorted(maps.Keys(paths)) {
			if slices.Contains(missing.Paths, paths[name]) {
				// The error is not on the attribute path of the output: the CLI only shows the configuration of elements of a map, not of their attributes.
				diags.AddAttributeError(path.Root("outputs").AtMapKey(name), "Missing output",
					fmt.Sprintf("All steps of run %q succeeded, but none wrote a file to /data/%s. Correct the path, or write the file in a step.", id, paths[name]))
			}
		}
		return
	}
	summary, detail := "Failed to read outputs", diagnostic.ErrorDetail(fmt.Sprintf("Reading the outputs of run %q", id), err)
	if errors.Is(err, files.ErrGone) {
		detail += "\n\nFiles other than outputs are only kept for the time set with `retention`. Plan again: the plan shows which steps run again, so that the outputs can be read."
	}
	var conflict *files.ConflictError
	if errors.As(err, &conflict) {
		detail += "\n\nAdd one of the steps to `needs` of the other, or write to different paths."
	}
	diags.AddAttributeError(path.Root("outputs"), summary, detail)
}
