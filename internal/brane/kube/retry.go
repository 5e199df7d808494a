package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// retryTimeout bounds [Client.Retry]. An API server that restarts answers again within half a minute.
const retryTimeout = 90 * time.Second

// retryBackoff is the pause between two attempts of one request: from 200 ms up to 5 s.
var retryBackoff = wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.1, Cap: 5 * time.Second, Steps: 10}

var errAway = errors.New("the API server was unreachable for too long")

// Retry repeats a request while its error is retryable, up to retryTimeout; client-go itself repeats a request only if the server asked for that.
// The request must be safe to send twice.
func (c *Client) Retry(ctx context.Context, request func() error) error {
	ctx, done := context.WithTimeoutCause(ctx, retryTimeout, errAway)
	defer done()
	var last error
	err := retryBackoff.DelayFunc().Until(ctx, true, true, func(context.Context) (bool, error) {
		last = request()
		if c.IsRetryable(last) {
			return false, nil
		}
		return true, last
	})
	if cause := context.Cause(ctx); err != nil && last != nil && cause != nil && !errors.Is(last, cause) && !errors.Is(cause, errAway) {
		return errors.Join(cause, last)
	}
	return last
}

// IsRetryable reports whether the same request may succeed later: IsRetryable(err), or a denial by a server that has just come back.
func (c *Client) IsRetryable(err error) bool {
	return IsRetryable(err) || IsDenied(err) && time.Since(time.Unix(0, c.away.Load())) < StartupTime
}

// StartupTime is how long an API server may deny requests after it has started, although it will allow them: it serves requests before it has loaded its roles.
const StartupTime = 30 * time.Second

// IsDenied reports whether the API server did not accept the credential, or does not allow it the request. The denial of a namespace that is being deleted is not
// one: no permission changes it.
func IsDenied(err error) bool {
	return apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// IsRetryable reports whether the same request may succeed later without a change: the API server, or what is in front of it, could not be
// reached, lost the connection, or answered that it is too busy or failed. It is false for all other answers, for TLS and certificate errors, for a
// name that does not exist in DNS and for a cancelled context.
func IsRetryable(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		_, delay := apierrors.SuggestsClientDelay(err)
		return delay || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) ||
			apierrors.IsServerTimeout(err) || apierrors.IsInternalError(err) || isQuotaConflict(status)
	}
	if name := new(net.DNSError); errors.As(err, &name) && name.IsNotFound {
		return false
	}
	return IsUnreachable(err)
}

// isQuotaConflict reports whether an object was not created because others have changed the usage of a quota at the same time, which the API server
// itself repeats only a few times. Other conflicts are about the object of the request, which has to be read again.
func isQuotaConflict(status apierrors.APIStatus) bool {
	answer := status.Status()
	return answer.Reason == metav1.StatusReasonConflict && answer.Details != nil && answer.Details.Kind == "resourcequotas"
}

// IsUnreachable reports whether a request got no answer: no server listens at the address, its name cannot be resolved, the answer did not come in time, or the
// connection was lost. A denial is an answer, and so is a certificate that is not valid.
func IsUnreachable(err error) bool {
	var status apierrors.APIStatus
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	switch {
	case err == nil, errors.As(err, &status), errors.As(err, &certificate), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &network):
		return network.Op != "remote error" && network.Op != "local error" // alerts of TLS
	default:
		return errors.Is(err, context.DeadlineExceeded) || utilnet.IsTimeout(err) || isConnectionLost(err)
	}
}

// isConnectionLost reports whether a connection that was open ended below a request. The errors of HTTP/2 have no type to compare with.
func isConnectionLost(err error) bool {
	if utilnet.IsProbableEOF(err) || utilnet.IsConnectionReset(err) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "http2: client conn") || strings.Contains(text, "GOAWAY") || strings.Contains(text, "stream error: ")
}
