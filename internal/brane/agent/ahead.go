package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// errCancelled says that the run is to stop, so that nothing more of it begins.
var errCancelled = errors.New("the run is cancelled")

// errEnded says that Kubernetes ends the pod.
var errEnded = errors.New("the pod was told to end before the step could begin")

// unlessEnded does what comes before the program: a signal ends it, as there is no program yet that could take it.
func unlessEnded(ctx context.Context, signals <-chan os.Signal, do func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	var listener sync.WaitGroup
	told := false
	listener.Go(func() {
		for !told {
			select {
			case caught := <-signals:
				told = caught == os.Interrupt || caught == syscall.SIGTERM
			case <-ctx.Done():
				return
			}
		}
		stop(errEnded)
	})
	err := do(ctx)
	stop(nil)
	listener.Wait()
	if told {
		return errEnded
	}
	return err
}

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
		if cancelled, err := store.Cancelled(ctx); err != nil || cancelled {
			return errors.Join(err, errCancelled)
		}
	}
	return context.Cause(ctx)
}
