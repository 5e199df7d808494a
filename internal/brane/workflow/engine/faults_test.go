package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// TestChild is not a test: it is the process that other tests kill.
func TestChild(t *testing.T) { runtest.RunChild(t, nil) }

// The resource version of a watch is too old, as after a compaction of etcd: it lists again, and misses nothing.
func TestWatchExpires(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	run := l.NewRun(l.Chain(false)...)
	var expired atomic.Int64
	run.Clients.Kube = runtest.NewClient(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if request.URL.Query().Has("watch") && expired.Add(1) <= 6 {
			status := apierrors.NewResourceExpired("too old resource version").Status()
			status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
			body, err := json.Marshal(status)
			if err != nil {
				return nil, err
			}
			return &http.Response{
				StatusCode: http.StatusGone, Status: "410 Gone", Proto: "HTTP/2.0", ProtoMajor: 2, Request: request, ContentLength: int64(len(body)),
				Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
			}, nil
		}
		return next.RoundTrip(request)
	})
	testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
	if expired.Load() < 3 {
		t.Errorf("only %d watches were opened", expired.Load())
	}
	l.CheckRanOnce(run)
}

// The namespace is deleted during the run: the error is the same whether a watch or the renewal of the lease notices it.
func TestNamespaceDeleted(t *testing.T) {
	t.Parallel()
	for name, isWatched := range map[string]bool{"a watch notices it": true, "the renewal of the lease notices it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			run := l.NewRun(l.Chain(true)...)
			if !isWatched {
				run.Clients.Kube = runtest.NewClient(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
					if request.URL.Query().Has("watch") { // it never reports an event
						<-request.Context().Done()
						return nil, request.Context().Err()
					}
					return next.RoundTrip(request)
				})
			}
			ended := runtest.Execute(t.Context(), run)
			testenv.Receive(t, "the step", l.Counter.Arrived)
			if err := l.Admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.Namespace}}); err != nil {
				t.Fatal(err)
			}
			err := testenv.Receive(t, "the end", ended).Err
			var gone *workflow.NamespaceGoneError
			if want := fmt.Sprintf(`namespace %q was deleted while run %q was running in it, and the Jobs of the run with it`, l.Namespace, run.Spec.ID); !errors.As(err, &gone) || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// The run is destroyed while another process executes it.
func TestRunDeleted(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	run := l.NewRun(l.Chain(true)...)
	ended := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the step", l.Counter.Arrived)
	if err := engine.Delete(t.Context(), l.Admin, run.Spec.Ref(), ""); err != nil {
		t.Fatal(err)
	}
	end := testenv.Receive(t, "the end", ended)
	var gone *workflow.RecordGoneError
	if deleted := len(end.Result.Failures) == 1 && end.Result.Failures[0].Reason == workflow.ReasonJobDeleted; !errors.As(end.Err, &gone) && !deleted {
		t.Errorf("the run ended with %+v, %v", end.Result, end.Err)
	}
	if jobs := l.ListJobs(run); len(jobs) > 0 {
		t.Errorf("%q are left", jobs)
	}
}
