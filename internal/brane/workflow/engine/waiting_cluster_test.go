package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// expiringContext is a context whose deadline passes when the test closes its channel.
type expiringContext struct {
	context.Context
	passed chan struct{}
}

func (c expiringContext) Done() <-chan struct{} { return c.passed }

func (c expiringContext) Err() error {
	select {
	case <-c.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// A suspended Job and a scheduling gate are reported while they last and fail nothing. The error of a run that exceeds its timeout contains
// what each of its steps was waiting for.
func TestTimeoutShowsWhatStepsWaitFor(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	clustertest.MutatePods(t, l.Namespace, func(pod *corev1.Pod) error {
		switch pod.Labels[workflow.StepLabel] {
		case "gated":
			pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.org/license"}}
		case "denied":
			return errors.New("the webhook is broken")
		}
		return nil
	})
	run := l.NewRun(l.Step("gated", "true"), l.Step("suspended", "sleep 3600"), l.Step("denied", "true"), l.Step("works", l.Wait()))
	run.Spec.Timeouts = workflow.PodTimeouts{Startup: time.Hour, Scheduling: time.Hour}
	started, denied := runtest.Heard(run, workflow.StepStarted, "suspended"), runtest.Heard(run, workflow.StepStarted, "denied")
	gated, suspended := runtest.Heard(run, workflow.StepWaits, "gated"), runtest.Heard(run, workflow.StepWaits, "suspended")
	ctx := expiringContext{t.Context(), make(chan struct{})}
	end := runtest.Execute(ctx, run)
	job := testenv.Receive(t, "the start of the step to suspend", started).Detail
	if err := l.Admin.MergePatch(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: job}}, []byte(`{"spec":{"suspend":true}}`)); err != nil {
		t.Fatal(err)
	}
	if detail := testenv.Receive(t, "the report of the suspended Job", suspended).Detail; !strings.Contains(detail, "is suspended") {
		t.Errorf("the report of the suspended Job is %q", detail)
	}
	if detail := testenv.Receive(t, "the report of the scheduling gate", gated).Detail; !strings.Contains(detail, "example.org/license") {
		t.Errorf("the report of the scheduling gate is %q", detail)
	}
	testenv.Receive(t, "a running step", l.Counter.Arrived)
	deniedJob := testenv.Receive(t, "the Job without a pod", denied).Detail
	testenv.Await(t, "the event of the denial", func(ctx context.Context) (bool, error) {
		reason, _ := engine.FindBlockingEvent(ctx, l.Admin, l.Namespace, deniedJob)
		return reason != "", nil
	})
	close(ctx.passed)
	err := testenv.Receive(t, "the run", end).Err
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the run ended with %v", err)
	}
	for _, part := range []string{
		`step "gated": its pod is not scheduled before these scheduling gates are removed: example.org/license`,
		`step "suspended": Job "` + job + `" is suspended: Job suspended`,
		`step "denied": Job "`, `" has no pod: FailedCreate: `, "the webhook is broken",
		`step "works": pod "`, ` on node "`,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error has no %q: %v", part, err)
		}
	}
}
