package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// needsResync is the interval at which the commits are read without an announcement, in case one was lost.
const needsResync = 30 * time.Second

// awaitNeeds returns when all needed steps are committed. It then closes the connection of its subscription: the command has another one.
func awaitNeeds(ctx context.Context, store *files.Store, step Step) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The first event comes immediately, because earlier announcements are covered by the records.
	events, resync := store.Events(ctx, files.Steps, files.Cancellation), time.NewTicker(needsResync)
	defer resync.Stop()
	for {
		select {
		case _, isOpen := <-events:
			if !isOpen {
				return context.Cause(ctx)
			}
		case <-resync.C:
		}
		commits, err := store.Commits(ctx, step.Fingerprints)
		if err != nil {
			return fmt.Errorf("wait for the needed steps: %w", err)
		}
		if len(commits) == len(step.Fingerprints) {
			return nil
		}
		if cancelled, err := step.isCancelled(ctx, store); err != nil {
			return fmt.Errorf("wait for the needed steps: %w", err)
		} else if cancelled {
			return errCancelled
		}
	}
}
