package agent

import (
	"context"
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// awaitNeeds returns when all that the step needs is committed, or the step is itself, by another attempt.
func awaitNeeds(ctx context.Context, store *files.Store, step Step) error {
	needs := step.Needs[step.Name]
	for range store.Events(ctx) { // the first one comes at once: whatever was announced before is in the records
		commits, err := store.Commits(ctx, append([]string{step.Name}, needs...))
		if err != nil {
			return fmt.Errorf("wait for the steps that this one needs: %w", err)
		}
		if _, done := commits[step.Name]; done || len(commits) == len(needs) {
			return nil
		}
		if cancelled, err := store.Cancelled(ctx); err != nil {
			return fmt.Errorf("wait for the steps that this one needs: %w", err)
		} else if cancelled {
			return errCancelled
		}
	}
	return context.Cause(ctx)
}
