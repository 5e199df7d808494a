package workflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// refusedFor is for how long the API server may refuse us before we believe it: one that has just started does so until it has read its own rules.
const refusedFor = 20 * time.Second

// NamespaceGoneError says that the namespace was deleted while the run went on, and all of the run in it.
type NamespaceGoneError struct{ Run, Namespace string }

func (e *NamespaceGoneError) Error() string {
	return fmt.Sprintf("namespace %q was deleted while run %q went on in it, and the run's Jobs with it", e.Namespace, e.Run)
}

// refused says whether the API server does not let us do what we did before.
func refused(err error) bool {
	return apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// passing says whether the same request may succeed later.
func (l *loop) passing(err error) bool {
	if refused(err) {
		if l.refused.IsZero() {
			l.refused = time.Now()
		}
		return time.Since(l.refused) < refusedFor
	}
	return passing(err)
}

// passing says of an error that is no refusal whether the same request may succeed later.
func passing(err error) bool {
	var network net.Error
	return errors.As(err, &network) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsInternalError(err)
}

// namespaceThere asks whether something could still be made in the namespace; nothing is. The account may not ask for the namespace itself.
func (l *loop) namespaceThere(ctx context.Context) error {
	probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, GenerateName: "brane-"}}
	err := l.Kube.Try(ctx, probe)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) {
		return &NamespaceGoneError{l.ID, l.Namespace}
	}
	return nil // it is, or nobody can tell
}

// explainGone puts the reason in the place of its consequence, where the namespace is gone.
func (l *loop) explainGone(ctx context.Context, err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) {
		return &NamespaceGoneError{l.ID, l.Namespace}
	}
	if missing := l.namespaceThere(ctx); missing != nil {
		return missing
	}
	return err
}
