package kube

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What client-go says of requests whose API server is killed below them, as it was met.
func TestWhatMayPass(t *testing.T) {
	asked := func(err error) error { return &url.Error{Op: "Patch", URL: "https://127.0.0.1:6443/", Err: err} }
	wire := func(op string, err syscall.Errno) error {
		return asked(&net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, err)})
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nobody listens":                   {wire("connect", syscall.ECONNREFUSED), true},
		"the connection is reset":          {wire("read", syscall.ECONNRESET), true},
		"the other side has closed it":     {wire("write", syscall.EPIPE), true},
		"another request has given it up":  {asked(errors.New("http2: client connection force closed via ClientConn.Close")), true},
		"it answers no ping":               {asked(errors.New("http2: client connection lost")), true},
		"the server has too much to do":    {&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusTooManyRequests}}, true},
		"there is no such object":          {&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusNotFound}}, false},
		"there is no way to the address":   {wire("connect", syscall.EHOSTUNREACH), false},
		"something else is wrong, forever": {asked(errors.New("x509: certificate signed by unknown authority")), false},
	} {
		if got := passing(c.err); got != c.want {
			t.Errorf("%s: %v: got %v", name, c.err, got)
		}
	}
}
