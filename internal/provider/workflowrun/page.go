package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	htmlreport "github.com/braneframework/terraform-provider-brane/internal/brane/report"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// The report of a run: its values are collected here, from the run's result and from Redis.

// collectLimit limits how long files and logs of steps are read. The report omits what Redis has not returned by then.
const collectLimit = 30 * time.Second

// checkPage reports during plan whether the report could not be written. Missing directories are created with the report.
func checkPage(name types.String, diags *diag.Diagnostics) {
	if name.IsNull() || name.IsUnknown() {
		return
	}
	problem := ""
	if info, err := os.Stat(name.ValueString()); err == nil && info.IsDir() {
		problem = "it is a directory; set the path of a file"
	}
	for folder := filepath.Dir(name.ValueString()); ; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		if err == nil && !info.IsDir() {
			problem = folder + " is not a directory"
		}
		if err == nil || folder == filepath.Dir(folder) {
			break
		}
	}
	if problem != "" {
		diags.AddAttributeError(path.Root("report_path"), "Invalid report path", fmt.Sprintf("The report cannot be written to %q: %s.", name.ValueString(), problem))
	}
}

// shouldWriteReport reports whether apply writes the report of a run that is not replaced, or resets the time at which it was written.
func (m workflowRunModel) shouldWriteReport(state workflowRunModel) bool {
	switch {
	case state.isDelegated() && !m.waitsForEnd():
		return false // it has not ended
	case m.ReportPath.IsNull():
		return !state.ReportWrittenAt.IsNull()
	}
	return state.ReportWrittenAt.IsNull() || !m.ReportPath.Equal(state.ReportPath)
}

// writePage writes the report of a run that has just ended, if one is configured. A failure to write it is a warning: after an error, Terraform would
// replace a run that was created.
func writePage(ctx context.Context, run *workflowRun, model *workflowRunModel, progress *runProgress, result workflow.Result, problem error, diags *diag.Diagnostics) {
	model.ReportWrittenAt = types.StringNull()
	if model.ReportPath.IsNull() {
		return
	}
	model.ReportWrittenAt = attribute.TimeOrNull(time.Now())
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), collectLimit) // also after Ctrl-C
	defer done()
	name := model.ReportPath.ValueString()
	if err := replaceFile(name, buildPage(ctx, run, model, progress, result, problem)); err != nil {
		diags.AddAttributeWarning(path.Root("report_path"), "Failed to write report", diagnostic.ErrorDetail(fmt.Sprintf("Writing the report of run %q to %q", run.spec.ID, name), err)+
			"\n\nThe run itself is not affected. If you change `report_path`, the next apply writes the report there.")
	}
}

// buildPage returns the report of a run.
func buildPage(ctx context.Context, run *workflowRun, model *workflowRunModel, progress *runProgress, result workflow.Result, problem error) htmlreport.Run {
	hide := workflow.HideSecrets(run.spec.Graph, run.clients.RedisURL)
	told := htmlreport.Run{
		ID: run.spec.ID, Name: model.Name.ValueString(), Infrastructure: model.Infrastructure.ValueString(), Namespace: model.Namespace.ValueString(),
		Status: htmlreport.Succeeded, Written: time.Now(),
	}
	switch {
	case problem != nil:
		told.Status, told.Problem = htmlreport.Stopped, hide(problem.Error())
	case len(result.Failures) > 0:
		told.Status = htmlreport.Failed
	}
	failures := map[string]*workflow.Failure{}
	for _, failure := range slices.Concat(result.Failures, result.Allowed) {
		failures[failure.Step] = failure
	}
	var err error
	for _, step := range run.spec.Graph.All() {
		outcome := result.Steps[step.Name]
		s := htmlreport.Step{
			Name: step.Name, Image: step.Image, Needs: step.Needs, Status: htmlreport.Status(outcome.Status),
			Made: progress.started[step.Name], Started: outcome.Started, Ended: outcome.Ended, Attempts: outcome.Attempts, Reused: outcome.Reused,
		}
		switch outcome.Status {
		case workflow.Succeeded:
			s.Code = &outcome.Code
		case workflow.Failed:
			if s.Ended.IsZero() {
				s.Ended = progress.failed[step.Name]
			}
			if outcome.Code != 0 {
				s.Code = &outcome.Code
			}
		case workflow.Stopped, workflow.Skipped: // the command has no exit code
		case "":
			s.Status = htmlreport.Skipped // the run ended before its steps were considered
		}
		if failure := failures[step.Name]; failure != nil {
			s.Failure = hide(failure.Detail())
		}
		if err == nil {
			err = addFromRedis(ctx, run.clients.Results.Files(), outcome, &s, hide)
		}
		if err == nil {
			s.Parts, err = pageParts(ctx, run, step, outcome.Fingerprint, failures[step.Name], hide)
		}
		if err != nil {
			s.Note = "Its files and its output could not be read from Redis: " + hide(err.Error())
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			err = nil // reading the next step may succeed, unless the time is up
		}
		told.Steps = append(told.Steps, s)
	}
	told.Outputs = pageOutputs(ctx, model)
	return told
}

// pageParts returns the indexes of a fan-out step. The failure names some of those that were started and have no commit; of the others it is not known whether
// they failed or were stopped.
func pageParts(ctx context.Context, run *workflowRun, step workflow.Step, fingerprint files.Fingerprint, failure *workflow.Failure, hide func(string) string) ([]htmlreport.Part, error) {
	found, err := run.clients.Results.Indexes(ctx, step.Name, fingerprint)
	if err != nil {
		return nil, err
	}
	hasFailed := map[string]bool{}
	if failure != nil {
		for _, end := range append([]workflow.End{failure.End}, failure.Earlier...) {
			hasFailed[end.Index] = true
		}
	}
	var parts []htmlreport.Part
	for i, part := range found {
		p := htmlreport.Part{Index: i, Status: htmlreport.Succeeded, Started: part.Started, Ended: part.Ended, Attempts: part.Attempts}
		switch {
		case part.IsCommitted:
		case hasFailed[strconv.Itoa(i)]:
			p.Status = htmlreport.Failed
		case part.Attempts > 0:
			p.Status = "not finished"
		default:
			p.Status = htmlreport.Skipped
		}
		if i < len(step.Items) {
			p.Item = hide(step.Items[i])
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// pageOutputs returns the declared outputs that were read.
func pageOutputs(ctx context.Context, model *workflowRunModel) (outputs []htmlreport.File) {
	models := map[string]outputModel{}
	if model.Outputs.ElementsAs(ctx, &models, false).HasError() {
		return nil // unknown, because the run did not get that far
	}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		if output := models[name]; !output.Size.IsNull() && !output.Size.IsUnknown() {
			outputs = append(outputs, htmlreport.File{Path: output.Path.ValueString(), Size: output.Size.ValueInt64()})
		}
	}
	return outputs
}

// addFromRedis adds the files and the log of a step.
func addFromRedis(ctx context.Context, store *files.Store, outcome workflow.StepResult, s *htmlreport.Step, hide func(string) string) error {
	if outcome.Fingerprint != "" {
		text, err := store.Log(ctx, files.ResultKey{Step: s.Name, Fingerprint: outcome.Fingerprint})
		if err != nil {
			return err
		}
		s.Log = hide(string(text))
	}
	if outcome.Layer == "" {
		return nil
	}
	tree, err := store.Tree(ctx, outcome.Layer)
	if err != nil {
		return err
	}
	for entry := range tree.All() {
		if entry.By != s.Name || !entry.IsFile() {
			continue
		}
		s.FileCount++
		s.FileSize += entry.Size
		if len(s.Files) < htmlreport.MaxFiles {
			s.Files = append(s.Files, htmlreport.File{Path: entry.Path, Size: entry.Size})
		}
	}
	return nil
}

// replaceFile writes the report to a temporary file and renames it, so that readers see either the old or the new one.
func replaceFile(name string, run htmlreport.Run) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // readable by its owner only: logs may contain confidential text
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error that is returned matters more
		}
	}()
	if err := errors.Join(htmlreport.Write(file, run), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// rewritePage writes the report of a run that ended earlier, from what is still stored in Redis.
func (r *runner) rewritePage(ctx context.Context, model *workflowRunModel, graph workflow.Graph, diags *diag.Diagnostics) {
	model.ReportWrittenAt = types.StringNull()
	if model.ReportPath.IsNull() {
		return
	}
	model.ReportWrittenAt = attribute.TimeOrNull(time.Now()) // also if it cannot be written, or every plan would try again
	run := &workflowRun{spec: &workflow.Spec{ID: model.ID.ValueString(), Graph: graph}}
	if diags.HasError() {
		return
	}
	client, warnings, err := r.clients.RedisClient(ctx)
	diagnostic.AddRedisWarnings(diags, warnings)
	var result workflow.Result
	if err == nil {
		run.clients.Results, err = results.Open(client, run.spec.ID, run.spec.Graph)
	}
	if err == nil {
		result, err = run.clients.Results.Load(ctx)
	}
	if err != nil {
		diags.AddAttributeWarning(path.Root("report_path"), "Failed to write report", diagnostic.ErrorDetail(fmt.Sprintf("Reading the results of run %q from Redis", run.spec.ID), err)+
			"\n\nFiles other than outputs are only kept for the time set with `retention`. The report is written when the run is run again.")
		return
	}
	writePage(ctx, run, model, &runProgress{}, result, nil, diags)
}
