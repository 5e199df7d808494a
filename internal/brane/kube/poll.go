package kube

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// PollUntilCanceled is [wait.PollUntilContextCancel], but its error contains the reason why the context ended.
func PollUntilCanceled(ctx context.Context, interval time.Duration, immediate bool, condition wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextCancel(ctx, interval, immediate, condition)
	if cause := context.Cause(ctx); errors.Is(err, ctx.Err()) && !errors.Is(err, cause) {
		return cause
	}
	return err
}
