package detached_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// awaitProblem waits until the problem in the status of a run matches.
func awaitProblem(t *testing.T, run *runtest.Run, matches func(problem string) bool) {
	t.Helper()
	var status detached.Status
	err := testenv.Poll(t.Context(), func(ctx context.Context) (found bool, err error) {
		status, err = detached.ReadStatus(ctx, run.Clients.Kube, run.Spec.Ref())
		return matches(status.Problem), err
	})
	if err != nil {
		t.Fatalf("%v; the status is %s: %s", err, status.Status, status.Problem)
	}
}

// containsAll returns a function that reports whether a text contains all of these parts.
func containsAll(parts ...string) func(text string) bool {
	return func(text string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
	}
}

// The status of a detached run shows what it waits for while that lasts: a suspended Job, a scheduling gate, and an API server that refuses
// Jobs, which only the engine learns of.
func TestStatusShowsWhatTheRunWaitsFor(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	clustertest.MutatePods(t, l.Namespace, func(pod *corev1.Pod) error {
		if pod.Labels[workflow.StepLabel] == "gated" {
			pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.org/license"}}
		}
		return nil
	})
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "jobs"}}
	quota.Spec.Hard = corev1.ResourceList{"count/jobs.batch": apiresource.MustParse("3")} // the engine and two steps
	if err := l.Admin.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	run := l.NewRun(l.Step("gated", "true"), l.Step("suspended", "sleep 3600"), l.Step("waits", "true"))
	run.Spec.Timeouts = workflow.PodTimeouts{Startup: time.Hour, Scheduling: time.Hour}
	run.Clients.Kube = runtest.NewClientAs(t, l.CreateAccount("runner"), func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		return next.RoundTrip(request)
	})
	if err := detached.Start(t.Context(), run.Spec, run.Clients, run.Options, nil); err != nil {
		t.Fatal(err)
	}
	awaitProblem(t, run, containsAll("-gated-", "its pod is not scheduled before these scheduling gates are removed: example.org/license"))
	var jobs batchv1.JobList
	if err := l.Admin.List(t.Context(), &jobs, l.Namespace, run.Spec.Ref().StepSelector("suspended")); err != nil || len(jobs.Items) != 1 {
		t.Fatalf("%d Jobs, %v", len(jobs.Items), err)
	}
	if err := l.Admin.MergePatch(t.Context(), &jobs.Items[0], []byte(`{"spec":{"suspend":true}}`)); err != nil {
		t.Fatal(err)
	}
	awaitProblem(t, run, containsAll("the run waits for the cluster, for ", `create the Job of step "waits"`, "exceeded quota: jobs", `step "suspended": Job `, "is suspended", "scheduling gates"))
	if err := l.Admin.MergePatch(t.Context(), quota, []byte(`{"spec":{"hard":{"count/jobs.batch":"10"}}}`)); err != nil {
		t.Fatal(err)
	}
	awaitProblem(t, run, func(problem string) bool {
		return !strings.Contains(problem, "the run waits") && strings.Contains(problem, "is suspended")
	})
}
