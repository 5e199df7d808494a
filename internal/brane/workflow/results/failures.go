package results

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// An allowed failure is final, like a commit: later steps have started because of it, so a later execution must not run the step again. It
// is stored in Redis beside the commits, so that either both exist or neither. Steps with any other failure run again.
//
// A step that was committed nevertheless, by a pod that had been unreachable, stays failed in the execution that stored the failure. Later
// executions and readers find the commit, and it wins.

// StoreAllowedFailure stores the failure of a step with this fingerprint if it is allowed.
func (s *Store) StoreAllowedFailure(ctx context.Context, failure *workflow.Failure, fingerprint files.Fingerprint) error {
	if !s.graph.Step(failure.Step).AllowFailure {
		return nil
	}
	text, err := json.Marshal(failure)
	if err == nil {
		err = s.files.SetFailure(ctx, files.ResultKey{Step: failure.Step, Fingerprint: fingerprint}, text)
	}
	if err != nil {
		return fmt.Errorf("store the failure of step %q of run %q: %w", failure.Step, s.id, err)
	}
	return nil
}

// AllowedFailures returns the stored failures of these steps whose failure is allowed.
func (s *Store) AllowedFailures(ctx context.Context, fingerprints map[string]files.Fingerprint) (map[string]*workflow.Failure, error) {
	fingerprints = maps.Clone(fingerprints)
	maps.DeleteFunc(fingerprints, func(step string, _ files.Fingerprint) bool { return !s.graph.Step(step).AllowFailure })
	texts, err := s.files.Failures(ctx, fingerprints)
	if err != nil {
		return nil, fmt.Errorf("read the failures of run %q: %w", s.id, err)
	}
	failures := map[string]*workflow.Failure{}
	for step, text := range texts {
		failures[step] = &workflow.Failure{}
		if err := json.Unmarshal(text, failures[step]); err != nil {
			return nil, fmt.Errorf("read the failure of step %q of run %q: %w", step, s.id, err)
		}
	}
	return failures, nil
}
