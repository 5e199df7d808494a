package results

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// A failure is final in its execution: later steps have started because of it. An allowed failure is also final in later executions, like a
// commit; steps with any other failure run again in them. Failures are stored in Redis beside the commits, so that either both exist or neither.
//
// A step that was committed nevertheless, by a pod that had been unreachable, stays failed in the execution that stored the failure. Later
// executions and readers find the commit, and it wins.

// Term is a term of the lease in one record of a run. A new record begins again with the first term.
type Term struct {
	Record string // the UID
	Number int
}

// StoreFailure stores the failure of a step with this fingerprint, which has happened in a term.
func (s *Store) StoreFailure(ctx context.Context, failure *workflow.Failure, fingerprint files.Fingerprint, in Term) error {
	stored := *failure
	if stored.Record, stored.Term = in.Record, in.Number; s.graph.Step(failure.Step).AllowFailure {
		stored.Record, stored.Term = "", 0
	}
	text, err := json.Marshal(stored)
	if err == nil {
		err = s.files.SetFailure(ctx, files.ResultKey{Step: failure.Step, Fingerprint: fingerprint}, text)
	}
	if err != nil {
		return fmt.Errorf("store the failure of step %q of run %q: %w", failure.Step, s.id, err)
	}
	return nil
}

// FinalFailures returns the stored failures of these steps that are final for an execution whose first term is this: those that are allowed, and its own.
func (s *Store) FinalFailures(ctx context.Context, fingerprints map[string]files.Fingerprint, since Term) (map[string]*workflow.Failure, error) {
	texts, err := s.files.Failures(ctx, fingerprints)
	if err != nil {
		return nil, fmt.Errorf("read the failures of run %q: %w", s.id, err)
	}
	failures := map[string]*workflow.Failure{}
	for step, text := range texts {
		failure := &workflow.Failure{}
		if err := json.Unmarshal(text, failure); err != nil {
			return nil, fmt.Errorf("read the failure of step %q of run %q: %w", step, s.id, err)
		}
		isAllowed := failure.Term == 0 && s.graph.Step(step).AllowFailure
		isOwn := failure.Term > 0 && failure.Record == since.Record && failure.Term >= since.Number
		if isAllowed || isOwn {
			failures[step] = failure
		}
	}
	return failures, nil
}

// AllowedFailures returns the stored failures of these steps whose failure is allowed.
func (s *Store) AllowedFailures(ctx context.Context, fingerprints map[string]files.Fingerprint) (map[string]*workflow.Failure, error) {
	fingerprints = maps.Clone(fingerprints)
	maps.DeleteFunc(fingerprints, func(step string, _ files.Fingerprint) bool { return !s.graph.Step(step).AllowFailure })
	return s.FinalFailures(ctx, fingerprints, Term{})
}
