package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// What a cancelled term has started is deleted and waited for, whatever the number of the attempt: a step can have several in one term. What a later term has
// started is left alone, as its agents do.
func TestCancellationIsOfATerm(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		attempt, term int
		isCancelled   bool
	}{
		"the first attempt of the term":  {1, 2, true},
		"the third attempt of the term":  {3, 2, true},
		"an earlier term":                {4, 1, true},
		"a later term":                   {3, 3, false},
		"a later term, the same attempt": {2, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _, _ := openLoop(t, workflow.Step{Name: "a"})
			attempt := l.newAttempt("a", tt.attempt)
			attempt.Term = tt.term
			job, err := l.template.BuildStepJob(l.spec.Graph.Step("a"), attempt)
			if err != nil {
				t.Fatal(err)
			}
			pod := corev1.Pod{ObjectMeta: job.Spec.Template.ObjectMeta, Spec: job.Spec.Template.Spec, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
			cluster := &fakeCluster{jobs: []batchv1.Job{*job}, pods: []corev1.Pod{pod}}
			store := l.results.Files()
			if err := store.Cancel(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			ctx, done := context.WithTimeout(t.Context(), time.Second)
			defer done()
			_, err = clearCancellation(ctx, newFakeClient(t, cluster.answer), l.spec.Ref(), store, nil)
			if isWaiting := errors.Is(err, context.DeadlineExceeded); isWaiting != tt.isCancelled || err != nil && !isWaiting {
				t.Errorf("it waits for the pod: %t, %v", isWaiting, err)
			}
			want := "[]"
			if tt.isCancelled {
				want = "[DELETE " + job.Name + "]"
			}
			if fmt.Sprint(cluster.changes) != want {
				t.Errorf("the changes are %q, not %s", cluster.changes, want)
			}
		})
	}
}
