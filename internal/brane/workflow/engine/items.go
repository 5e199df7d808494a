package engine

import (
	"context"
	"fmt"
)

// storeItems stores the items of a step, if it has some, before its Job is created: its agents read them. Each attempt stores them again, because
// Redis may have lost them.
func (l *loop) storeItems(ctx context.Context, name string) error {
	err := l.results.Files().SetItems(ctx, l.spec.Graph.Step(name).Items)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("store the items of step %q of run %q: %w", name, l.spec.ID, err)
	}
	return nil
}
