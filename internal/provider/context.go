package provider

import (
	"context"
	"fmt"
	"time"
)

// withTimeout bounds an operation; what ends by it says which entry of `timeouts` to raise.
func withTimeout(ctx context.Context, limit time.Duration, operation string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %s (timeouts.%s)", limit, operation))
}

// afterwards is for what must still be done when the operation's time has run out or the user has pressed Ctrl-C.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
