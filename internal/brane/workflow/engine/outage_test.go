package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// answerUnauthorized returns the answer of an API server that does not accept a credential.
func answerUnauthorized(request *http.Request) (*http.Response, error) {
	status := apierrors.NewUnauthorized("Unauthorized").Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	body, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusUnauthorized, Status: "401 Unauthorized", Proto: "HTTP/2.0", ProtoMajor: 2, Request: request, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

// The credential is not accepted for longer than an API server needs to start, while a step runs: the run waits, and continues.
func TestCredentialDeniedForAWhile(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	run := lab.NewRun(lab.Step("long", lab.Wait()), lab.Step("first", "true"), lab.Step("second", "true", "first"))
	var isDenied atomic.Bool
	run.Clients.Kube = runtest.NewClient(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if isDenied.Load() {
			return answerUnauthorized(request)
		}
		return next.RoundTrip(request)
	})
	var since atomic.Int64
	hasLasted := make(chan struct{}, 1)
	run.Options.Observe = func(event workflow.Event) {
		if event.Kind == workflow.StepCommitted && event.Step == "first" {
			isDenied.Store(true) // the loop creates the next Job now
		}
		if event.Kind != workflow.RunDisturbed || !isDenied.Load() {
			return
		}
		since.CompareAndSwap(0, event.At.UnixNano())
		if event.At.Sub(time.Unix(0, since.Load())) > kube.StartupTime+time.Second {
			select {
			case hasLasted <- struct{}{}:
			default:
			}
		}
	}
	ended := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the long step", lab.Counter.Arrived)
	select {
	case <-hasLasted:
	case end := <-ended:
		t.Fatalf("the run ended with %+v, %v", end.Result, end.Err)
	case <-time.After(testenv.Patience):
		t.Fatal("no denial was reported for long enough")
	}
	isDenied.Store(false)
	lab.Counter.Release()
	testenv.Receive(t, "the run", ended).CheckSucceeded(t)
	lab.CheckRanOnce(run)
}

// Redis denies the execution what it needs while a step runs: the execution ends, its step continues, and the next execution resumes it.
func TestRedisDeniesExecution(t *testing.T) {
	t.Parallel()
	lab := runtest.New(t)
	run := lab.NewRun(lab.Chain(true)...)
	user := run.Spec.ID + "-holder"
	if err := lab.Redis.ACLSetUser(t.Context(), user, "on", ">s3cret", "~*", "&*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Redis.ACLDelUser(context.Background(), user) }) // the context of the test has ended
	address, err := url.Parse(clustertest.Getenv(t, "BRANE_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(user, "s3cret")
	client, err := files.Dial(address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // nothing was written that could be lost
	able := run.Clients.Results
	if run.Clients.Results, err = results.Open(client, run.Spec.ID, run.Spec.Graph); err != nil {
		t.Fatal(err)
	}
	ended := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the step", lab.Counter.Arrived)
	if err := lab.Redis.ACLSetUser(t.Context(), user, "-get").Err(); err != nil {
		t.Fatal(err)
	}
	if err := able.Files().Announce(t.Context(), files.Event{Step: "s1", State: files.Failed}); err != nil { // makes the loop read
		t.Fatal(err)
	}
	end := testenv.Receive(t, "the end", ended)
	var continues *workflow.StepsContinueError
	if !errors.As(end.Err, &continues) || !errors.Is(end.Err, files.ErrForbidden) {
		t.Errorf("the run ended with %v", end.Err)
	}
	if jobs := fmt.Sprint(lab.ListJobs(run)); jobs != "[s1 1]" {
		t.Fatalf("there are %s", jobs)
	}
	next := runtest.Another(run, "the next one")
	next.Clients.Results = able
	adopted := runtest.Heard(next, workflow.StepAdopted, "s1")
	run.Clients.Results = able // for the end of the test
	resumed := runtest.Execute(t.Context(), next)
	testenv.Receive(t, "the step", adopted)
	lab.Counter.Release()
	testenv.Receive(t, "the run", resumed).CheckSucceeded(t)
	lab.CheckRanOnce(run)
}
