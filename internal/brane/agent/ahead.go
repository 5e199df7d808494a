package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// errCancelled says that the run is to stop, so that nothing more of it begins.
var errCancelled = errors.New("the run is cancelled")

// awaitNeeds returns when all that the step needs is committed, or the step is itself, by another attempt. A signal ends it: there is no program yet.
func awaitNeeds(ctx context.Context, store *files.Store, step Step, signals <-chan os.Signal) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		for ctx.Err() == nil {
			select {
			case caught := <-signals:
				if caught == os.Interrupt || caught == syscall.SIGTERM {
					stop(errors.New("the pod was told to end before the step could begin"))
				}
			case <-ctx.Done():
			}
		}
	}()
	needs := step.Needs[step.Name]
	for range store.Events(ctx) { // the first one comes at once: whatever was announced before is in the records
		commits, err := store.Commits(ctx, append([]string{step.Name}, needs...))
		if err != nil {
			return fmt.Errorf("wait for the steps that this one needs: %w", err)
		}
		if _, done := commits[step.Name]; done || len(commits) == len(needs) {
			return nil
		}
		if cancelled, err := store.Cancelled(ctx); err != nil || cancelled {
			return errors.Join(err, errCancelled)
		}
	}
	return context.Cause(ctx)
}
