package engine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// isRetryable reports whether to send a request of the loop again later. A denial is final only if the API server has denied requests for a
// while, and that of the credential only if no Job of the run needs this execution any more.
func (l *loop) isRetryable(err error) bool {
	if isCredentialDenied(err) && l.state.hasJobs() {
		return true
	}
	if kube.IsDenied(err) {
		if l.deniedSince.IsZero() {
			l.deniedSince = time.Now()
		}
		return time.Since(l.deniedSince) < kube.StartupTime
	}
	return IsRetryable(err)
}

// IsRetryable reports whether the same request may succeed later, for a client that has reached the API server before: then any reason for
// a missing answer may be temporary, for example a name that only a VPN resolves, or a credential plugin that fails without a network.
func IsRetryable(err error) bool {
	var noAnswer *url.Error
	return kube.IsRetryable(err) || errors.As(err, &noAnswer)
}

// checkNamespace checks with a dry run whether an object could still be created in the namespace, because the service account has no
// permission to read the namespace itself.
func (l *loop) checkNamespace(ctx context.Context) error {
	probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.spec.Namespace, GenerateName: "brane-"}}
	err := l.clients.Kube.DryRunCreate(ctx, probe)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) {
		return &workflow.NamespaceGoneError{Run: l.spec.ID, Namespace: l.spec.Namespace}
	}
	return nil // it exists, or that is not known
}

// explainGone replaces an error by its reason if the namespace is gone.
func (l *loop) explainGone(ctx context.Context, err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) {
		return &workflow.NamespaceGoneError{Run: l.spec.ID, Namespace: l.spec.Namespace}
	}
	if missing := l.checkNamespace(ctx); missing != nil {
		return missing
	}
	return err
}

// explainRecordGone replaces a [workflow.RecordGoneError] by its reason if the namespace is gone: the lease may notice the deletion before
// the watches do. ctx may have ended.
func (l *loop) explainRecordGone(ctx context.Context, err error) error {
	var deleted *workflow.RecordGoneError
	if !errors.As(err, &deleted) {
		return err
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), optionalTimeout)
	defer done()
	return l.explainGone(ctx, err)
}

// scheduleRetry schedules a retry of a request if its error is retryable.
func (l *loop) scheduleRetry(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !l.isRetryable(err):
		return l.explainGone(ctx, err)
	}
	l.postponeRequest(err)
	return nil
}

// reportAfter is how long a request is repeated before the run is said to wait.
const reportAfter = 5 * time.Second

// postponeRequest repeats a request later, which did not succeed for this reason.
func (l *loop) postponeRequest(err error) {
	now := time.Now()
	l.nextRetry = now.Add(l.backoff.Step())
	if l.postponedSince.IsZero() {
		l.postponedSince = now
	}
	if took := now.Sub(l.postponedSince); took >= reportAfter {
		l.reportEvent(workflow.RunWaits, "", fmt.Sprintf("for the cluster, for %s so far, while running steps continue: %v", took.Round(time.Second), err))
		return
	}
	l.reportEvent(workflow.RunDisturbed, "", err.Error())
}

// endPostponement records that the API server has accepted a Job, or that no Job is postponed any more.
func (l *loop) endPostponement() {
	l.backoff = retryBackoff
	if took := time.Since(l.postponedSince); !l.postponedSince.IsZero() && took >= reportAfter {
		l.reportEvent(workflow.RunContinues, "", fmt.Sprintf("no Job waits for the cluster any more, after %s", took.Round(time.Second)))
	}
	l.postponedSince = time.Time{}
}
