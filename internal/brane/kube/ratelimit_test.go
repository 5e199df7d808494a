package kube_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// transport is a function that answers requests inside the synctest bubble, where the fake clock applies.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// anyNamespace answers every request.
func anyNamespace(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}`)),
	}, nil
}

// ask reads this many namespaces concurrently.
func ask(ctx context.Context, client *kube.Client, requests int) error {
	var group errgroup.Group
	for range requests {
		group.Go(func() error { return client.Get(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}) })
	}
	return group.Wait()
}

// TestRateLimitIsNotServerTime checks that the timeout of a request does not include the wait for the rate limiter.
func TestRateLimitIsNotServerTime(t *testing.T) {
	for name, tt := range map[string]struct {
		server   transport
		requests int
		limit    time.Duration
		took     time.Duration
		want     string
	}{
		"the last turn comes after three minutes": {anyNamespace, 181, time.Hour, 3 * time.Minute, ""},
		"the operation has less time than that": {anyNamespace, 181, time.Minute, time.Minute,
			"wait for the client's rate limit of 1 requests per second: rate: Wait(n=1) would exceed context deadline"},
		"a server that says nothing has its own time": {func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, 3, time.Hour, 67 * time.Second, "the API server did not answer within 1m5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, err := kube.New(&rest.Config{Host: "https://203.0.113.7", QPS: 1, Burst: 1, Transport: tt.server})
				if err != nil {
					t.Fatal(err)
				}
				ctx, done := context.WithTimeout(t.Context(), tt.limit)
				defer done()
				began := time.Now()
				err = ask(ctx, client, tt.requests)
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("got  %v\nwant %s", err, tt.want)
				}
				if took := time.Since(began).Round(time.Second); took != tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
			})
		})
	}
}

// TestRateLimitEndsWithContext checks that the wait for the rate limiter ends with the context and its cause.
func TestRateLimitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := kube.New(&rest.Config{Host: "https://203.0.113.7", QPS: 1, Burst: 1, Transport: transport(anyNamespace)})
		if err != nil {
			t.Fatal(err)
		}
		enough := errors.New("we had enough")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(2*time.Second, func() { stop(enough) })
		if err := ask(ctx, client, 100); !errors.Is(err, enough) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's cause and its own error in it", err)
		}
	})
}

// lateContext is a context whose deadline has passed, but whose timer has not fired yet.
type lateContext struct{ context.Context }

func (lateContext) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

// TestRateLimitAtTheDeadline checks that the error names the cause of the context's end if the limiter sees the deadline before the context does.
func TestRateLimitAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, &rest.Config{Host: "https://203.0.113.7", Transport: transport(anyNamespace)})
		timeout := errors.New("not finished after a second")
		ctx, done := context.WithTimeoutCause(t.Context(), time.Second, timeout)
		defer done()
		if err := ask(lateContext{ctx}, client, 1); !errors.Is(err, timeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's cause and its own error in it", err)
		}
	})
}
