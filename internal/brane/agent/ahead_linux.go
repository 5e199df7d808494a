package agent

import (
	"context"
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// awaitNeeds returns when all needed steps are committed, or when another attempt has committed the step itself.
func awaitNeeds(ctx context.Context, store *files.Store, step Step) error {
	needs := step.Needs[step.Name]
	for range store.Events(ctx) { // the first event comes immediately, because earlier announcements are covered by the records
		commits, err := store.Commits(ctx, append([]string{step.Name}, needs...))
		if err != nil {
			return fmt.Errorf("wait for the needed steps: %w", err)
		}
		if _, done := commits[step.Name]; done || len(commits) == len(needs) {
			return nil
		}
		if cancelled, err := store.Cancelled(ctx); err != nil {
			return fmt.Errorf("wait for the needed steps: %w", err)
		} else if cancelled {
			return errCancelled
		}
	}
	return context.Cause(ctx)
}
