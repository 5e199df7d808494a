package workflow

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// blindClient is the cluster's administrator, who sees no Jobs while blind is set.
func blindClient(t *testing.T, blind *atomic.Bool) *kube.Client {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, "KUBECONFIG")}.Config()
	if err != nil {
		t.Fatal(err)
	}
	config.WrapTransport = func(seeing http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if blind.Load() && request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/jobs") {
				return nil, errors.New("the watch is broken")
			}
			return seeing.RoundTrip(request)
		})
	}
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// A Job that is made and deleted while the watch is broken never shows in it; the run must not wait for it for ever.
func TestJobDeletedUnseen(t *testing.T) {
	t.Parallel()
	var blind atomic.Bool
	blind.Store(true)
	admin, namespace := clustertest.Client(t), clustertest.Namespace(t)
	redis, err := files.Dial(clustertest.Getenv(t, "BRANE_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	graph, err := NewGraph([]Step{{Name: "long", Image: clustertest.Getenv(t, "BRANE_TOOLS_IMAGE"), Command: []string{"sleep", "3600"}}})
	if err != nil {
		t.Fatal(err)
	}
	run := &Run{
		ID: clustertest.Name("unseen"), Graph: graph, Kube: blindClient(t, &blind), Namespace: namespace, AgentImage: clustertest.Getenv(t, "BRANE_AGENT_IMAGE"),
		Redis: redis, RedisURL: clustertest.Getenv(t, "BRANE_REDIS_CLUSTER_URL"), Retention: time.Hour,
	}
	run.Observe = func(event Event) {
		if event.Kind != StepStarted {
			return
		}
		// The Job is made; nobody has seen it yet.
		if err := admin.Delete(t.Context(), (&loop{Run: run}).named("long")); err != nil {
			t.Error(err)
		}
		blind.Store(false)
	}
	t.Cleanup(func() {
		store, err := Files(redis, run.ID)
		if err == nil {
			err = errors.Join(store.Delete(context.Background()), redis.Close()) // the test's own context has ended by now
		}
		if err != nil {
			t.Error(err)
		}
	})
	result, err := run.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failures) != 1 || result.Failures[0].Reason != jobDeletedReason {
		t.Errorf("the run ended with %+v", result)
	}
	var jobs batchv1.JobList
	if err := admin.List(t.Context(), &jobs, namespace, RunLabel+"="+run.ID); err != nil || len(jobs.Items) > 0 {
		t.Errorf("%d Jobs are left (%v)", len(jobs.Items), err)
	}
}
