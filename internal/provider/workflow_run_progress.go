package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// runProgress tells how a run gets on, a line a thing: in the log at INFO, and to whoever else listens. It remembers what the run's result does not say.
type runProgress struct {
	id      string
	tell    func(string)
	began   time.Time
	of      int // steps
	ended   int // of them, well or not
	started map[string]time.Time
	failed  map[string]time.Time
}

// watchProgress makes the run tell of itself; listener may be nil.
func watchProgress(ctx context.Context, run *workflow.Run, listener func(string)) *runProgress {
	p := &runProgress{id: run.ID, began: time.Now(), of: len(run.Graph.Steps()), started: map[string]time.Time{}, failed: map[string]time.Time{}}
	p.tell = func(line string) {
		tflog.Info(ctx, line, map[string]any{"run": run.ID})
		if listener != nil {
			listener(line)
		}
	}
	run.Observe = func(event workflow.Event) {
		if event.Kind == workflow.RunStages {
			tflog.Debug(ctx, event.String(), map[string]any{"run": run.ID})
			return
		}
		p.observe(event)
	}
	return p
}

func (p *runProgress) observe(event workflow.Event) {
	switch event.Kind {
	case workflow.StepStarted, workflow.StepAdopted:
		if p.started[event.Step].IsZero() {
			p.started[event.Step] = event.At
		}
	case workflow.StepCommitted:
		p.ended++
	case workflow.StepFailed:
		p.ended++
		p.failed[event.Step] = event.At
	default: // it changes no count
	}
	p.tell(p.line(event))
}

// line says what happened, how far the run is, and how long it has taken.
func (p *runProgress) line(event workflow.Event) string {
	what := string(event.Kind) // of those that are not told in words of their own: "run disturbed"
	switch event.Kind {
	case workflow.StepStarted:
		what = fmt.Sprintf("step %q started", event.Step)
	case workflow.StepAdopted:
		what = fmt.Sprintf("step %q was started before and is followed", event.Step)
	case workflow.StepCommitted:
		what = fmt.Sprintf("step %q finished in %s", event.Step, event.Detail)
	case workflow.StepFailed:
		what = fmt.Sprintf("step %q failed: %s", event.Step, event.Detail)
	default:
		if event.Step != "" {
			what += fmt.Sprintf(" of step %q", event.Step)
		}
		if event.Detail != "" {
			what += ": " + event.Detail
		}
	}
	return fmt.Sprintf("%s (%d of %d ended, %s elapsed)", what, p.ended, p.of, p.elapsed(event.At))
}

// end tells how the run has ended.
func (p *runProgress) end(result workflow.Result, err error) {
	what := "succeeded"
	switch {
	case errors.Is(err, context.Canceled):
		what = "was interrupted"
	case err != nil:
		what = "could not be carried on: " + err.Error()
	case len(result.Failures) > 0:
		what = "failed"
	}
	p.tell(fmt.Sprintf("run %q %s (%d of %d ended, %s elapsed)", p.id, what, p.ended, p.of, p.elapsed(time.Now())))
}

func (p *runProgress) elapsed(at time.Time) time.Duration {
	return max(at.Sub(p.began), 0).Round(100 * time.Millisecond)
}
