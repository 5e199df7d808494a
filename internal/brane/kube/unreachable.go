package kube

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// stoppedError is a request that was given up before its answer was there.
type stoppedError struct {
	err    error
	cause  error // why we stopped waiting, for example which timeout it was
	signal error // the context's own
}

func (e *stoppedError) Error() string {
	if strings.Contains(e.err.Error(), e.cause.Error()) {
		return e.err.Error()
	}
	return e.cause.Error() + ": " + e.err.Error()
}

func (e *stoppedError) Unwrap() []error { return []error{e.err, e.cause, e.signal} }

// Unreachable says whether an error means that nobody answered at the address of the API server, or not in time. A refusal is an answer, and so is a
// certificate that is not the right one.
func Unreachable(err error) bool {
	var answer apierrors.APIStatus
	var network *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &answer):
		return false
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return true
	case errors.As(err, &network):
		return network.Op != "remote error" // which is an alert of TLS
	default:
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || connectionLost(err)
	}
}

// connectionLost says whether the connection that requests share was given up below a request. Neither error has a type to be known by.
func connectionLost(err error) bool {
	return utilnet.IsHTTP2ConnectionLost(err) || err != nil && strings.Contains(err.Error(), "http2: client connection force closed")
}
