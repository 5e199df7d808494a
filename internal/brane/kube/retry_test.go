package kube_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// checkError compares what the classifier reports about an error with what is expected.
func checkError(t *testing.T, err error, unreachable, retryable bool) {
	t.Helper()
	if got := kube.IsUnreachable(err); got != unreachable {
		t.Errorf("IsUnreachable is %t: %v", got, err)
	}
	if got := kube.IsRetryable(err); got != retryable {
		t.Errorf("IsRetryable is %t: %v", got, err)
	}
}

// TestIsRetryableOfServers checks the errors of requests to real servers that fail in different ways.
func TestIsRetryableOfServers(t *testing.T) {
	t.Parallel()
	unauthorized := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(unauthorized.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { closeConnection(t, w, false) }))
	t.Cleanup(closing.Close)
	resetting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { closeConnection(t, w, true) }))
	t.Cleanup(resetting.Close)
	aborting := newHTTP2Server(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	truncating := newHTTP2Server(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	ending := newHTTP2Server(t, nil)
	ending.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		go ending.CloseClientConnections()
		<-r.Context().Done()
	})
	mutual := httptest.NewUnstartedServer(http.NotFoundHandler())
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	mutual.StartTLS()
	t.Cleanup(mutual.Close)
	for name, tt := range map[string]struct {
		config                 rest.Config
		unreachable, retryable bool
	}{
		"the port is closed":                     {rest.Config{Host: closedAddress()}, true, true},
		"no answer in time":                      {rest.Config{Host: "http://" + newSilent(t).Addr().String()}, true, true},
		"the connection is closed":               {rest.Config{Host: closing.URL}, true, true},
		"the connection is reset":                {rest.Config{Host: resetting.URL}, true, true},
		"the HTTP/2 stream is aborted":           {trusting(aborting), true, true},
		"the HTTP/2 answer is aborted":           {trusting(truncating), true, true},
		"the HTTP/2 connection is closed":        {trusting(ending), true, true},
		"the proxy's port is closed":             {rest.Config{Host: plain.URL, Proxy: throughProxy(t, closedAddress())}, true, true},
		"the proxy's certificate is not trusted": {rest.Config{Host: unauthorized.URL, Proxy: throughProxy(t, unauthorized.URL)}, false, false},
		"the credential is denied":               {trusting(unauthorized), false, false},
		"the certificate is not trusted":         {rest.Config{Host: unauthorized.URL}, false, false},
		"the certificate is for another host": {rest.Config{
			Host: unauthorized.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(unauthorized), ServerName: "other"},
		}, false, false},
		"the server wants a client certificate": {trusting(mutual), false, false},
		"the server does not use TLS":           {rest.Config{Host: strings.Replace(plain.URL, "http:", "https:", 1)}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := testenv.Patience
			if name == "no answer in time" {
				limit = 2 * time.Second
			}
			ctx, done := context.WithTimeout(t.Context(), limit)
			defer done()
			// client-go itself repeats a GET, and no other request.
			err := newClient(t, &tt.config).Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
			if err == nil {
				t.Fatal("the request succeeded")
			}
			checkError(t, err, tt.unreachable, tt.retryable)
		})
	}
}

// TestIsRetryableOfStatuses checks the errors that client-go makes of HTTP statuses, whether or not the body is a Kubernetes Status.
func TestIsRetryableOfStatuses(t *testing.T) {
	t.Parallel()
	for code, retryable := range map[int]bool{
		http.StatusBadRequest: false, http.StatusUnauthorized: false, http.StatusForbidden: false, http.StatusNotFound: false, http.StatusMethodNotAllowed: false,
		http.StatusConflict: false, http.StatusGone: false, http.StatusRequestEntityTooLarge: false, http.StatusUnprocessableEntity: false,
		http.StatusTooManyRequests: true, http.StatusInternalServerError: true, http.StatusBadGateway: true, http.StatusServiceUnavailable: true, http.StatusGatewayTimeout: true,
	} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", code) }))
			t.Cleanup(server.Close)
			err := newClient(t, &rest.Config{Host: server.URL}).Get(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
			checkError(t, err, false, retryable)
		})
	}
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for name, tt := range map[string]struct {
		err       error
		retryable bool
	}{
		"server timeout":        {apierrors.NewServerTimeout(jobs, "create", 1), true},
		"timeout":               {apierrors.NewTimeoutError("etcdserver: request timed out", 0), true},
		"too many requests":     {apierrors.NewTooManyRequests("", 1), true},
		"internal error":        {apierrors.NewInternalError(errors.New("etcdserver: leader changed")), true},
		"wrapped":               {fmt.Errorf("create a Job: %w", apierrors.NewServiceUnavailable("")), true},
		"already exists":        {apierrors.NewAlreadyExists(jobs, "x"), false},
		"a conflict":            {apierrors.NewConflict(jobs, "x", errors.New("modified")), false},
		"a conflict of a quota": {apierrors.NewConflict(schema.GroupResource{Resource: "resourcequotas"}, "q", errors.New("modified")), true},
		"the quota is exceeded": {apierrors.NewForbidden(jobs, "x", errors.New("exceeded quota")), false},
		"resource expired":      {apierrors.NewResourceExpired(""), false},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, tt.err, false, tt.retryable) })
	}
}

// TestIsRetryableOfErrors checks errors that a test cannot provoke reliably, as client-go returned them.
func TestIsRetryableOfErrors(t *testing.T) {
	t.Parallel()
	request := func(err error) error { return &url.Error{Op: "Patch", URL: "https://127.0.0.1:6443/", Err: err} }
	wire := func(op string, err error) error { return request(&net.OpError{Op: op, Net: "tcp", Err: err}) }
	system := func(op string, err syscall.Errno) error { return wire(op, os.NewSyscallError(op, err)) }
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		err                    error
		unreachable, retryable bool
	}{
		"nil":                                  {nil, false, false},
		"connection refused":                   {system("connect", syscall.ECONNREFUSED), true, true},
		"connection reset":                     {system("read", syscall.ECONNRESET), true, true},
		"broken pipe":                          {system("write", syscall.EPIPE), true, true},
		"no route to host":                     {system("connect", syscall.EHOSTUNREACH), true, true},
		"network is unreachable":               {system("connect", syscall.ENETUNREACH), true, true},
		"EOF":                                  {request(io.EOF), true, true},
		"unexpected EOF":                       {fmt.Errorf("read the body: %w", io.ErrUnexpectedEOF), true, true},
		"name not found":                       {wire("dial", &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), true, false},
		"name server fails":                    {wire("dial", &net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true}), true, true},
		"name server times out":                {wire("dial", &net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true}), true, true},
		"HTTP/2: closed by another request":    {request(errors.New("http2: client connection force closed via ClientConn.Close")), true, true},
		"HTTP/2: no answer to a ping":          {request(errors.New("http2: client connection lost")), true, true},
		"HTTP/2: not usable":                   {request(errors.New("http2: client conn not usable")), true, true},
		"HTTP/2: GOAWAY":                       {request(errors.New(`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=""`)), true, true},
		"HTTP/2: GOAWAY with an error":         {request(errors.New("http2: Transport received GOAWAY from server ErrCode:INTERNAL_ERROR")), true, true},
		"TLS alert of the server":              {wire("remote error", errors.New("tls: bad certificate")), false, false},
		"TLS alert of the client":              {wire("local error", errors.New("tls: bad record MAC")), false, false},
		"unknown authority":                    {request(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false, false},
		"unknown authority without the type":   {request(x509.UnknownAuthorityError{}), false, false},
		"context canceled":                     {request(context.Canceled), false, false},
		"connecting was canceled":              {wire("dial", canceled.Err()), false, false},
		"deadline exceeded":                    {request(context.DeadlineExceeded), true, true},
		"the credential plugin fails":          {request(errors.New("getting credentials: exec: executable aws failed with exit code 255")), false, false},
		"an error that is not of the network":  {errors.New("kind x is not among those this client knows"), false, false},
		"a text of an answer that names errno": {apierrors.NewBadRequest("connection reset by peer"), false, false},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, tt.err, tt.unreachable, tt.retryable) })
	}
	client := newClient(t, &rest.Config{Host: "http://" + newSilent(t).Addr().String()})
	checkError(t, client.Get(canceled, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}), false, false)
}

// TestDenialsAfterAnOutage checks that Retry repeats a request that is denied only if the server has just been unreachable.
func TestDenialsAfterAnOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]bool{"after an outage": true, "without an outage": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				switch requests++; {
				case requests == 1 && outage:
					closeConnection(t, w, false)
				case requests < 4:
					w.WriteHeader(http.StatusForbidden)
				default:
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"x","uid":"u"}}`)
				}
			}))
			t.Cleanup(server.Close)
			client := newClient(t, &rest.Config{Host: server.URL})
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
			err := client.Retry(t.Context(), func() error { return client.Create(t.Context(), namespace) })
			if outage && (err != nil || namespace.UID != "u" || requests != 4) {
				t.Errorf("after %d requests: %v", requests, err)
			}
			if !outage && (!apierrors.IsForbidden(err) || requests != 1) {
				t.Errorf("after %d requests: %v", requests, err)
			}
		})
	}
}

// TestRetryEndsWithItsContext checks that the error names the reason why the context ended, and the last error of the request.
func TestRetryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	client := newClient(t, &rest.Config{Host: closedAddress()})
	ctx, cancel := context.WithCancelCause(t.Context())
	err := client.Retry(ctx, func() error {
		cancel(errors.New("the user pressed Ctrl-C"))
		return apierrors.NewServiceUnavailable("starting")
	})
	if want := "the user pressed Ctrl-C\nstarting"; err == nil || err.Error() != want || !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v", err)
	}
}

// closeConnection closes the connection of a request without an answer, or resets it.
func closeConnection(t *testing.T, w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		err = tcp.SetLinger(0)
	}
	if err := errors.Join(err, conn.Close()); err != nil {
		t.Error(err)
	}
}

// newHTTP2Server starts a server that uses HTTP/2, as an API server does.
func newHTTP2Server(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func pemOf(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// trusting returns the configuration of a client that trusts the server's certificate.
func trusting(server *httptest.Server) rest.Config {
	return rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(server)}}
}

// closedAddress returns the address of a port that nobody listens on any more.
func closedAddress() string {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	return server.URL
}

func throughProxy(t *testing.T, address string) func(*http.Request) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return http.ProxyURL(u)
}
