package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// runProgress reports the progress of a run, one line per event, in the log at INFO and to a listener. It records what the result of the run does not contain.
type runProgress struct {
	id      string
	tell    func(string)
	began   time.Time
	of      int // steps
	ended   int // of them, successfully or not
	started map[string]time.Time
	failed  map[string]time.Time
}

// watchProgress observes the events of a run; listener may be nil.
func watchProgress(ctx context.Context, run *workflowRun, listener func(string)) *runProgress {
	p := &runProgress{id: run.spec.ID, began: time.Now(), of: len(run.spec.Graph.Steps()), started: map[string]time.Time{}, failed: map[string]time.Time{}}
	p.tell = func(line string) {
		tflog.Info(ctx, line, map[string]any{"run": run.spec.ID})
		if listener != nil {
			listener(line)
		}
	}
	run.options.Observe = func(event workflow.Event) {
		if event.Kind == workflow.RunStages {
			tflog.Debug(ctx, event.String(), map[string]any{"run": run.spec.ID})
			return
		}
		p.handleEvent(event)
	}
	return p
}

func (p *runProgress) handleEvent(event workflow.Event) {
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
	default: // other events change no count
	}
	p.tell(p.line(event))
}

// line formats an event with the number of steps that have ended and the elapsed time.
func (p *runProgress) line(event workflow.Event) string {
	what := string(event.Kind) // for events without a text below, such as "run disturbed"
	switch event.Kind {
	case workflow.StepStarted:
		what = fmt.Sprintf("step %q started", event.Step)
	case workflow.StepAdopted:
		what = fmt.Sprintf("step %q was already started", event.Step)
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

// finish reports the end of the run.
func (p *runProgress) finish(result workflow.Result, err error) {
	what := "succeeded"
	switch {
	case errors.Is(err, context.Canceled):
		what = "was interrupted"
	case err != nil:
		what = "stopped: " + err.Error()
	case len(result.Failures) > 0:
		what = "failed"
	}
	p.tell(fmt.Sprintf("run %q %s (%d of %d ended, %s elapsed)", p.id, what, p.ended, p.of, p.elapsed(time.Now())))
}

func (p *runProgress) elapsed(at time.Time) time.Duration {
	return max(at.Sub(p.began), 0).Round(100 * time.Millisecond)
}
