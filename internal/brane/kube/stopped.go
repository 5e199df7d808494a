package kube

import (
	"context"
	"strings"
)

// stoppedError is the error of a request whose context ended before the answer came.
type stoppedError struct {
	err    error
	cause  error // why the context ended, for example which timeout expired
	signal error // context.Canceled or context.DeadlineExceeded
}

func (e *stoppedError) Error() string {
	if strings.Contains(e.err.Error(), e.cause.Error()) {
		return e.err.Error()
	}
	return e.cause.Error() + ": " + e.err.Error()
}

func (e *stoppedError) Unwrap() []error { return []error{e.err, e.cause, e.signal} }

// withCause adds the reason why the context ended to the error of a request that had no answer by then.
func withCause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return &stoppedError{err, context.Cause(ctx), ctx.Err()}
	}
	return err
}
