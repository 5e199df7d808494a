package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Reading commits. A fan-out step has thousands of indexes, and each of them causes several signals. So a signal only adds a hint, and the
// loop reads the commits that the hints name, all of them in one request. Announcements may be lost, so everything is read at the start and
// when the subscription was renewed, and what may have been committed since is read at each resync.

// commitHints are the steps and indexes that may have committed since their commits were read.
type commitHints struct {
	all     bool            // any may have
	steps   map[string]bool // these may have, and all of their indexes
	names   map[string]bool // these may have
	indexes map[string]int  // how many of the names are indexes, by their steps
}

// newCommitHints returns the hints before anything was read.
func newCommitHints() commitHints {
	return commitHints{all: true, steps: map[string]bool{}, names: map[string]bool{}, indexes: map[string]int{}}
}

func (h *commitHints) expectAll() { h.all = true }

// expectRunning records that the steps that have not ended may have committed, and those of their indexes whose pods run. A pod that has ended was a hint
// itself, and one that has not started has nothing to commit: so a resync costs no more for ten thousand indexes than for those that run.
func (l *loop) expectRunning() {
	for _, step := range l.state.listUnsettled() {
		l.hints.expect(step)
		for _, pod := range l.pods[step] {
			if pod.Status.Phase == corev1.PodRunning {
				l.hints.expect(commitName(pod))
			}
		}
	}
}

// expectStep records that a step and all of its indexes may have committed.
func (h *commitHints) expectStep(name string) { h.steps[name] = true }

// expect records that a step, or an index as "fan.3", may have committed.
func (h *commitHints) expect(name string) {
	if step, _, isIndex := strings.Cut(name, "."); isIndex && !h.names[name] {
		h.indexes[step]++
	}
	h.names[name] = true
}

// needsCommits reports whether to read commits before the next decision.
func (l *loop) needsCommits() bool {
	return l.hints.all || len(l.hints.steps) > 0 || len(l.hints.names) > 0 || l.state.hasUnconfirmed()
}

// takeCommitNames returns the steps and indexes whose commits are to be read now, and resets the hints. A commit that is known is final. That of a
// step whose fingerprint is not known yet is read as soon as it is.
func (l *loop) takeCommitNames() (names []string) {
	hints := l.hints
	l.hints = newCommitHints()
	l.hints.all = false
	maps.Copy(hints.steps, l.state.unconfirmed)
	if hints.all {
		for _, step := range l.state.listUnsettled() {
			hints.steps[step] = true
		}
	}
	for step := range hints.steps {
		if l.canRead(step) {
			names = append(names, l.merger.listUnknown(step)...)
		}
	}
	for name := range hints.names {
		step, _, _ := strings.Cut(name, ".")
		if _, isKnown := l.merger.indexes[name]; !isKnown && !hints.steps[step] && l.canRead(step) {
			names = append(names, name)
		}
	}
	return names
}

// canRead reports whether the commit of a step, or of its indexes, matters and can be found: a commit and a failure are final.
func (l *loop) canRead(step string) bool {
	_, isResolved := l.starts[step]
	phase := l.state.phaseOf(step)
	return isResolved && phase != committed && phase != failed
}

// reconcileCommits reads the commits that the hints name. Unconfirmed steps that are not committed have failed.
func (l *loop) reconcileCommits(ctx context.Context) error {
	if err := l.readCommits(ctx); err != nil {
		return err
	}
	l.limitFailedIndexes(ctx)
	if l.state.hasUnconfirmed() { // the deletion of a namespace deletes pods, Jobs and everything else in any order
		if err := l.checkNamespace(ctx); err != nil {
			return err
		}
		// A failure stops steps, or is stored for the next holder.
		if err := l.waitOut(ctx, func() error { return l.lease.Verify(ctx) }); err != nil {
			return err
		}
	}
	l.retryUnstarted(ctx, time.Now())
	confirmed := l.state.confirmFailures()
	var failures []*workflow.Failure
	for _, step := range slices.Sorted(maps.Keys(confirmed)) {
		failures = append(failures, l.diagnoseFailure(ctx, step, confirmed[step]))
		if number := l.state.latestAttempt(step); number > 0 && !isJobEnd(confirmed[step].reason) {
			l.requestCleanup(l.newJob(step, strconv.Itoa(number)), stopJobPatch)
		}
	}
	l.failures = append(l.failures, failures...) // all of them, also if Redis fails
	for _, failure := range failures {
		if err := l.storeFailure(ctx, failure); err != nil {
			return err
		}
		l.reportEvent(workflow.StepFailed, failure.Step, failure.Reason)
	}
	return nil
}

// isJobEnd reports whether a step has failed for this reason because its Job has ended, is about to, or was not created. Kubernetes would continue to run the Job of
// any other failure, which the loop has decided.
func isJobEnd(reason string) bool {
	switch reason {
	case batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonDeadlineExceeded, batchv1.JobReasonFailedIndexes, batchv1.JobReasonPodFailurePolicy,
		reasonCommitMissing, workflow.ReasonJobDeleted, workflow.ReasonJobRefused:
		return true
	}
	return false
}

// isOwn reports whether a commit is that of a Job that this execution has created.
func (l *loop) isOwn(step string, record files.Record) bool {
	first, hasStarted := l.firstAttempts[step]
	return hasStarted && record.Attempt >= first
}

// readCommits reads the commits that the hints name. If Redis does not answer, it waits.
func (l *loop) readCommits(ctx context.Context) error {
	names := l.takeCommitNames()
	if len(names) == 0 {
		return nil
	}
	commits, conflicts, err := l.merger.readCommits(ctx, names, l.starts, l.state.decide().hasNoFiles, l.isOwn)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("read the commits of run %q: %w", l.spec.ID, err)
	}
	early := l.state.listPrewarmed()
	for name, commit := range commits {
		l.reused[name] = !l.isOwn(name, commit) && l.state.phaseOf(name) == pending
		l.state.recordCommit(name)
		l.commits[name] = commit
		l.lastMove = time.Now()
		delete(l.timers, name)
		if l.reused[name] {
			l.reportEvent(workflow.StepReused, name, "")
			continue
		}
		l.reportEvent(workflow.StepCommitted, name, commit.Ended.Sub(commit.Started).Round(time.Millisecond).String())
	}
	for name, conflict := range conflicts {
		l.state.markConflict(name, failureReason{workflow.ReasonFilesConflict, conflict.Error()})
	}
	for _, name := range early { // those that run now: the timeouts of their pods count from now
		for _, pod := range l.pods[name] {
			if l.state.phaseOf(name) == running {
				l.updatePodTimer(name, pod, time.Now())
			}
		}
	}
	return nil
}
