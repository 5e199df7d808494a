package kube

import (
	"fmt"
	"io"
	"net/http"
)

// maxResponse is the number of bytes that a response of an API server may have. A page of a list has at most 500 objects, and etcd limits an object to 1.5 MiB, but
// few objects have more than some KiB. client-go reads a response into memory without a limit, as long as the server sends. Only tests change it.
var maxResponse int64 = 256 << 20

// limitingTransport limits the length of responses, except those of watches, which do not end and whose events client-go limits.
type limitingTransport struct{ next http.RoundTripper }

func (t limitingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil || response.StatusCode == http.StatusSwitchingProtocols || request.URL.Query().Has("watch") {
		return response, err
	}
	response.Body = &limitedBody{response.Body, maxResponse}
	return response, nil
}

// WrappedRoundTripper returns the transport below, for client-go, which looks for the one that it can close.
func (t limitingTransport) WrappedRoundTripper() http.RoundTripper { return t.next }

// limitedBody is a body that fails when more bytes than left were read: an API server, or what is in front of it, does not end its response.
type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the response of the API server has more than %d MiB", maxResponse>>20)
	}
	return n, err
}
