package engine

import (
	"context"
	"strings"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Passes. The loop handles each signal when it arrives, which changes what is known of one pod, Job or commit. What follows from that is
// decided in a pass over all steps. A fan-out step causes thousands of signals, so a pass follows from all that have arrived since the last
// one, and only those that a next step waits for cause a pass immediately.

// passInterval is the time between two passes without an urgent signal.
const passInterval = 200 * time.Millisecond

// waitForPass handles signals until the next pass is due. now is the time of the last one.
func (l *loop) waitForPass(ctx context.Context, now time.Time) error {
	wake, next := l.nextWake(now), now.Add(passInterval)
	timer := time.NewTimer(time.Until(wake))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return l.handleTimer(ctx, time.Now())
		case signal := <-l.signals.all:
			if err := l.handleSignal(ctx, signal); err != nil {
				return err
			}
			if l.isUrgent(signal) {
				return l.handleArrived(ctx)
			}
			if next.Before(wake) {
				wake = next
				timer.Reset(time.Until(wake))
			}
		}
	}
}

// handleArrived handles the signals that have arrived already, so that one decision follows from many.
func (l *loop) handleArrived(ctx context.Context) error {
	for range cap(l.signals.all) {
		select {
		case signal := <-l.signals.all:
			if err := l.handleSignal(ctx, signal); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// isUrgent reports whether a next step may wait for what a signal causes: the commit of a step, or of the last index of a step, or a pod of
// a step whose successors are prewarmed.
func (l *loop) isUrgent(signal any) bool {
	switch signal := signal.(type) {
	case files.Event:
		step, _, isIndex := strings.Cut(signal.Step, ".")
		return !isIndex || l.merger.known[step]+l.hints.indexes[step] >= l.spec.Graph.Step(step).Completions
	case podChanged:
		return l.spec.Prewarm && !l.spec.Graph.Step(signal.pod.Labels[workflow.StepLabel]).IsIndexed()
	}
	return false
}
