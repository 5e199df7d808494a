package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// Reuse of results. When the needs of a step have ended, it is known what the step sees, and with that its fingerprint. If Redis has a commit of
// this fingerprint, from whichever execution, the step does not run. That commit may belong to other files that the step does not see, or that
// only are packed in another way: then what the step has changed is transferred to the files with which it would start now.

// stepStart is what a step starts with.
type stepStart struct {
	files.Stored
	seen        string            // the second part of the fingerprint
	fingerprint files.Fingerprint // of the step
	indexes     map[string]files.Fingerprint
}

// keyOf returns the key of the result of the step, or of an index as "fan.3".
func (s stepStart) keyOf(name string) files.ResultKey {
	if index, isIndex := s.indexes[name]; isIndex {
		return files.ResultKey{Step: name, Fingerprint: index}
	}
	return files.ResultKey{Step: name, Fingerprint: s.fingerprint}
}

// reuser finds out what steps start with, and makes stored results usable for this execution.
type reuser struct {
	graph    workflow.Graph
	store    *files.Store
	extender *files.Extender
	views    map[string]string // by the layer and the patterns
	// lost are the last attempts whose commits were deleted because their files are gone. Their Jobs will not commit again.
	lost map[string]int
}

func newReuser(graph workflow.Graph, store *files.Store) *reuser {
	return &reuser{graph, store, store.NewExtender(), map[string]string{}, map[string]int{}}
}

// findStart returns what a step starts with, given the commits of its needs. hasNoFiles reports whether a step has ended without files. The error
// is a [files.ConflictError] if the needs have written different files to the same path.
func (r *reuser) findStart(ctx context.Context, name string, commits map[string]files.Record, hasNoFiles func(step string) bool) (stepStart, error) {
	step, parents := r.graph.Step(name), r.graph.Parents(name, hasNoFiles)
	var ancestry files.Ancestry
	if len(parents) > 1 { // otherwise there is nothing to merge, and a step may have thousands of ancestors
		ancestry = r.graph.Ancestry(name, hasNoFiles)
	}
	var start stepStart
	err := files.Again(func() (err error) {
		start.Stored, err = r.store.MergeNeeds(ctx, parents, commits, ancestry)
		return err
	})
	if err != nil {
		return stepStart{}, err
	}
	if start.Content == "" && (len(step.Reads) == 0 || step.IsEmpty) {
		if start.Content, err = r.digestView(ctx, start.Layer, nil); err != nil {
			return stepStart{}, err
		}
	}
	view := start.Content
	if len(step.Reads) > 0 {
		if view, err = r.digestView(ctx, start.Layer, step.Reads); err != nil {
			return stepStart{}, err
		}
	}
	if start.seen, err = agent.DigestSeen(view, takenResults(step, commits)); err != nil {
		return stepStart{}, err
	}
	start.fingerprint, start.indexes = step.Fingerprint(start.seen), step.IndexFingerprints(start.seen)
	return start, nil
}

// newConflictStart returns the start of a step that cannot start, because the files of its needs conflict. The conflict is used
// as what the step sees: so its failure has a fingerprint, like that of any other step, and those who read the results of the run find it.
func newConflictStart(step workflow.Step, conflict *files.ConflictError) stepStart {
	seen := files.ShortDigest([]byte(conflict.Error()))
	return stepStart{seen: seen, fingerprint: step.Fingerprint(seen), indexes: step.IndexFingerprints(seen)}
}

// takenResults returns the results of other steps that the step's call takes, by the names of the arguments.
func takenResults(step workflow.Step, commits map[string]files.Record) map[string]json.RawMessage {
	taken := map[string]json.RawMessage{}
	if step.Call == nil {
		return taken
	}
	for argument, from := range step.Call.Arguments {
		if from.Step != "" {
			taken[argument] = commits[from.Step].Result
		}
	}
	return taken
}

// digestView returns the digest of the files of a layer that the patterns select. Steps often start with the same files.
func (r *reuser) digestView(ctx context.Context, layer files.Layer, reads files.Patterns) (string, error) {
	key := fmt.Sprintf("%s %q", layer, []string(reads))
	if view, isKnown := r.views[key]; isKnown {
		return view, nil
	}
	view, err := r.store.DigestView(ctx, layer, reads)
	if err == nil {
		r.views[key] = view
	}
	return view, err
}

// takeCommits returns those of the commits of a step or its indexes that can be used. isOwn reports whether this execution has created a commit.
// The files of others are kept as long as those of this execution. If they are gone, the commit is deleted, and its step has to run.
func (r *reuser) takeCommits(ctx context.Context, start stepStart, found map[string]files.Record, isOwn func(files.Record) bool) (map[string]files.Record, error) {
	earlier := map[files.ResultKey]files.Record{}
	for name, record := range found {
		if !isOwn(record) {
			earlier[start.keyOf(name)] = record
		}
	}
	isComplete, err := r.extender.Extend(ctx, earlier)
	if err != nil {
		return nil, err
	}
	usable := map[string]files.Record{}
	for name, record := range found {
		key := start.keyOf(name)
		if _, isEarlier := earlier[key]; isEarlier && !isComplete[key] {
			step, _, _ := strings.Cut(name, ".")
			r.lost[step] = max(r.lost[step], record.Attempt)
			err = r.store.DeleteCommit(ctx, key)
		} else {
			usable[name], err = r.rebase(ctx, key, record, start.Layer)
		}
		if err != nil {
			return nil, err
		}
	}
	return usable, nil
}

// rebase returns the commit of a step that starts with the files of a layer. If it started with others, it is replaced.
func (r *reuser) rebase(ctx context.Context, key files.ResultKey, record files.Record, layer files.Layer) (files.Record, error) {
	if record.Base == layer {
		return record, nil
	}
	rebased := record
	err := files.Again(func() error {
		stored, err := r.store.Rebase(ctx, record.Layer, record.Base, layer)
		if err != nil {
			return err
		}
		rebased.Layer, rebased.Content, rebased.Base = stored.Layer, stored.Content, layer
		return r.store.ReplaceCommit(ctx, key, rebased)
	})
	return rebased, err
}

// resolveSteps finds out what the steps start with whose needs have ended since the last call, and lets their commits be read. It returns their
// names.
func (l *loop) resolveSteps(ctx context.Context) (resolved []string, err error) {
	decision := l.state.decide()
	fingerprints := map[string]files.Fingerprint{}
	for _, name := range l.spec.Graph.Steps() {
		fate := decision.fates[name]
		if fate != ready && fate != started {
			continue
		}
		if _, isKnown := l.starts[name]; isKnown || fate == started && !decision.areSettled(l.spec.Graph.Step(name).Needs) {
			continue
		}
		start, err := l.reuser.findStart(ctx, name, l.commits, decision.hasNoFiles)
		var conflict *files.ConflictError
		switch {
		case errors.As(err, &conflict):
			l.state.markConflict(name, failureReason{workflow.ReasonFilesConflict, err.Error()})
			start = newConflictStart(l.spec.Graph.Step(name), conflict)
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, fmt.Errorf("find the files with which step %q of run %q starts: %w", name, l.spec.ID, err)
		}
		l.starts[name], fingerprints[name] = start, start.fingerprint
		l.hints.expectStep(name)
		resolved = append(resolved, name)
	}
	if len(fingerprints) == 0 {
		return resolved, nil
	}
	return resolved, l.results.Files().SetFingerprints(ctx, fingerprints)
}

// settleSteps reads the commits of all steps whose fingerprints are known, or become known because of that.
func (l *loop) settleSteps(ctx context.Context) error {
	for {
		if l.needsCommits() {
			if err := l.reconcileCommits(ctx); err != nil {
				return err
			}
		}
		resolved, err := l.resolveSteps(ctx)
		if err != nil || len(resolved) == 0 {
			return err
		}
		if err := l.reconcileCommits(ctx); err != nil {
			return err
		}
		if err := l.restoreFailures(ctx, resolved); err != nil {
			return err
		}
	}
}

// matches reports whether the Job of an earlier execution computes what this execution needs: the step would get the same command, and see the
// same files. An Indexed Job has to run all indexes that are not committed, with the same items, and no others.
func (l *loop) matches(job attempt) bool {
	step, earlier := l.spec.Graph.Step(job.step), job.agent
	if lost, hasLost := l.reuser.lost[job.step]; hasLost && job.number <= lost {
		return false
	}
	if earlier.Configuration != step.Configuration || earlier.Indexed != step.IsIndexed() {
		return false
	}
	if earlier.Ahead {
		return maps.Equal(earlier.Fingerprints, l.needFingerprints(job.step))
	}
	if start, isKnown := l.starts[job.step]; !isKnown || earlier.Seen != start.seen {
		return false
	}
	return !step.IsIndexed() || l.matchesIndexes(step, job)
}

// matchesIndexes is matches for the indexes of a fan-out step.
func (l *loop) matchesIndexes(step workflow.Step, job attempt) bool {
	if job.agent.Items != files.DigestItems(step.Items) {
		return false
	}
	runs := map[int]bool{}
	for position := range job.completions {
		index := job.indexAt(position)
		if index >= step.Completions {
			return false
		}
		runs[index] = true
	}
	return !slices.ContainsFunc(l.listMissingIndexes(step.Name), func(index int) bool { return !runs[index] })
}

// listMissingIndexes returns the indexes of a fan-out step that are not committed.
func (l *loop) listMissingIndexes(name string) (missing []int) {
	for index := range l.spec.Graph.Step(name).Completions {
		if !l.merger.isIndexCommitted(name, index) {
			missing = append(missing, index)
		}
	}
	return missing
}

// needFingerprints returns the fingerprints of the needs of a step, as far as they are known.
func (l *loop) needFingerprints(name string) map[string]files.Fingerprint {
	fingerprints := map[string]files.Fingerprint{}
	for _, need := range l.spec.Graph.Step(name).Needs {
		if start, isKnown := l.starts[need]; isKnown {
			fingerprints[need] = start.fingerprint
		}
	}
	return fingerprints
}

// newAttempt returns the attempt of a step that starts now.
func (l *loop) newAttempt(name string, number int) jobspec.Attempt {
	attempt := jobspec.Attempt{Number: number, Term: l.lease.Transitions()}
	if l.state.creationOf(name) == jobPrewarmed {
		attempt.Needs = l.needFingerprints(name)
		return attempt
	}
	start := l.starts[name]
	attempt.Start = jobspec.Start{Layer: start.Layer, Seen: start.seen}
	if missing := l.listMissingIndexes(name); len(missing) < l.spec.Graph.Step(name).Completions {
		attempt.Indexes = missing
	}
	return attempt
}
