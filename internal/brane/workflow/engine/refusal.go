package engine

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/denial"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Refused Jobs. The API server may answer that it does not accept the Job of a step: a quota or a policy does not allow it, a webhook denies it, or
// it is not valid. That is a failure of this step, like any other: it says nothing about the other steps, which continue if it is allowed.

// jobRefusal is why the Job of a step cannot be created, although the API server answers.
type jobRefusal struct{ error }

func (r *jobRefusal) Unwrap() error { return r.error }

// asRefusal returns an answer of the API server to the creation of a Job as a [jobRefusal] if it is one. A credential that is not accepted or lacks
// the permission, and a namespace that is gone, concern all Jobs.
func asRefusal(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || IsRetryable(err) || isCredentialDenied(err) {
		return err
	}
	denied, isDenied := denial.Find(err)
	if isDenied && denied.Cause == denial.Terminating || !isDenied && apierrors.IsNotFound(err) {
		return err
	}
	return &jobRefusal{err}
}

// mayAcceptLater reports whether to create the refused Job of a step again later.
func (l *loop) mayAcceptLater(ctx context.Context, name string, refusal error, now time.Time) bool {
	if isQuotaRefusal(refusal.Error()) {
		return l.waitsForQuota(ctx, refusal, now)
	}
	return kube.IsDenied(refusal) && l.isNewDenial(name, now)
}

// isNewDenial records that the API server has denied the Job of a step, and reports whether it may allow it soon: it may have started just now.
func (l *loop) isNewDenial(name string, now time.Time) bool {
	if l.deniedJobs[name].IsZero() {
		l.deniedJobs[name] = now
	}
	return now.Sub(l.deniedJobs[name]) < kube.StartupTime
}
