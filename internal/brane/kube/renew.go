package kube

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// renewPause is the time between two attempts to renew a token: every request of a client with an invalid token is rejected.
const renewPause = 5 * time.Second

// RenewToken lets a client send a request again with another token if the API server has rejected the token of the configuration (401). renew returns the token
// to use, which may be the same; its error leaves the rejection as it is. Without this, a long operation would end with its first token.
func RenewToken(config *rest.Config, renew func(ctx context.Context, rejected string) (string, error)) {
	tokens := &renewableToken{current: config.BearerToken, renew: renew}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return renewingTransport{tokens, next} })
}

// renewableToken is a token that can be replaced. Its methods are safe for concurrent use.
type renewableToken struct {
	renew func(ctx context.Context, rejected string) (string, error)

	mu      sync.Mutex
	current string
	tried   time.Time // when renew was last called
}

func (t *renewableToken) get() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// replace returns the token to use instead of a rejected one; the same one if there is no other.
func (t *renewableToken) replace(ctx context.Context, rejected string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != rejected || time.Since(t.tried) < renewPause {
		return t.current
	}
	if renewed, err := t.renew(ctx, rejected); err == nil {
		t.current = renewed
	}
	t.tried = time.Now()
	return t.current
}

// renewingTransport sends requests with the current token.
type renewingTransport struct {
	token *renewableToken
	next  http.RoundTripper
}

func (t renewingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	token := t.token.get()
	response, err := t.next.RoundTrip(withToken(request, token))
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	renewed := t.token.replace(request.Context(), token)
	if renewed == token {
		return response, nil
	}
	again := withToken(request, renewed)
	if request.Body != nil && request.Body != http.NoBody {
		if request.GetBody == nil {
			return response, nil // the next request has the new token
		}
		if again.Body, err = request.GetBody(); err != nil {
			return response, nil //nolint:nilerr // the rejection is the answer
		}
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	_ = response.Body.Close()
	return t.next.RoundTrip(again)
}

// WrappedRoundTripper returns the transport below, for client-go, which looks for the one that it can close.
func (t renewingTransport) WrappedRoundTripper() http.RoundTripper { return t.next }

func withToken(request *http.Request, token string) *http.Request {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+token)
	return request
}
