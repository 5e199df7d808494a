package testenv

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Patience is how long a test waits for what must happen. It only ends tests that would wait forever, so it is much longer than anything takes on a loaded
// machine.
const Patience = 15 * time.Minute

// Context returns a context that ends after Patience. Unlike that of the test, it can be used in a cleanup.
func Context(t testing.TB) context.Context {
	ctx, done := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(done)
	return ctx
}

// Await waits until a condition is true. The test fails at an error of the condition, and after Patience.
func Await(t testing.TB, what string, is wait.ConditionWithContextFunc) {
	t.Helper()
	if err := Poll(Context(t), is); err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
}

// AwaitTrue waits until a condition is true. It checks the condition more often than [Await], because tests disturb a run at that moment.
func AwaitTrue(t testing.TB, what string, is func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), 10*time.Millisecond, Patience, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
}

// Poll waits until a condition is true. It returns an error of the condition, and that of the context, which ends after Patience at the latest.
func Poll(ctx context.Context, is wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, Patience, true, is)
}

// Receive waits for a value of a channel, or until it is closed.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(Patience):
		t.Fatalf("waited %s for %s", Patience, what)
		panic("unreachable")
	}
}
