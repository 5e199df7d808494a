package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
)

// Programs do not need the API server, and need Redis only when they begin and end. So no outage of either, and no credential that is not
// accepted any more, stops a program: while the Jobs of a run exist, requests are repeated until the context of the execution ends, and that
// is reported. If an execution ends with such an error nevertheless, it leaves the Jobs running.

// openStore returns the results of the run for an execution, which waits for a Redis that does not answer and reports that.
func openStore(lease *record.Lease, clients Clients, options Options) (*results.Store, error) {
	// The process outside of the cluster has checked its password just before. An engine that is refused leaves the run to the next apply,
	// which may have another password.
	hasChecked := options.Holder.Engine == ""
	return clients.Results.ForExecution(lease.Deadline(), hasChecked, func(since time.Time, err error) {
		took := time.Since(since).Round(time.Second)
		event := workflow.Event{Kind: workflow.RunContinues, Detail: fmt.Sprintf("Redis answers again, after %s", took)}
		if err != nil {
			event = workflow.Event{Kind: workflow.RunWaits, Detail: fmt.Sprintf("for %s so far, while running steps continue: %v", took, err)}
		}
		options.Observe.Report(event)
	})
}

// lacksPermission matches the API server's denial of a request that the roles of the credential do not allow. Quotas and admission
// controllers deny requests with other messages.
var lacksPermission = regexp.MustCompile(`User "[^"]*" cannot `)

// isCredentialDenied reports whether the API server does not accept the credential any more, or its roles do not allow the request. What a
// quota or an admission controller denies is not the credential's fault.
func isCredentialDenied(err error) bool {
	return apierrors.IsUnauthorized(err) || kube.IsDenied(err) && lacksPermission.MatchString(err.Error())
}

// isOutage reports whether the error is that of the API server, of Redis or of a credential, and not of the run.
func isOutage(err error) bool {
	for _, redis := range []error{files.ErrUnreachable, files.ErrPassword, files.ErrForbidden, files.ErrFull} {
		if errors.Is(err, redis) {
			return true
		}
	}
	return IsRetryable(err) || isCredentialDenied(err)
}

// waitOut repeats a request to the API server while its error is retryable, and reports that.
func (l *loop) waitOut(ctx context.Context, request func() error) error {
	backoff := retryBackoff
	for {
		err := request()
		if err == nil {
			l.deniedSince = time.Time{}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !l.isRetryable(err) {
			return err
		}
		l.reportEvent(workflow.RunDisturbed, "", err.Error())
		timer := time.NewTimer(backoff.Step())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}
