package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// setDeadline lets a run and its keys in Redis expire at another time.
func setDeadline(t *testing.T, l *runtest.Lab, run *runtest.Run, at time.Time) {
	t.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "brane-" + run.Spec.ID}}
	if err := l.Admin.MergePatch(t.Context(), object, fmt.Appendf(nil, `{"data":{"deadline":%q}}`, at.UTC().Format(time.RFC3339))); err != nil {
		t.Fatal(err)
	}
	for _, key := range l.Redis.Keys(t.Context(), "brane:"+run.Spec.ID+":*").Val() {
		if err := l.Redis.ExpireAt(t.Context(), key, at).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkKeys checks that all keys of a run expire, and not before a time, except for those of a step that still runs.
func checkKeys(t *testing.T, l *runtest.Lab, run *runtest.Run, after time.Time, running string) {
	t.Helper()
	keys := l.Redis.Keys(t.Context(), "brane:"+run.Spec.ID+":*").Val()
	for _, key := range keys {
		if running != "" && strings.Contains(key, ":"+running+":") {
			continue // kept longer as soon as its commit is read
		}
		if left := l.Redis.TTL(t.Context(), key).Val(); left < time.Until(after)-time.Second {
			t.Errorf("%s expires in %s", key, left)
		}
	}
	if len(keys) == 0 {
		t.Error("the run has no keys")
	}
}

// A run that failed can be continued after its retention, from the beginning.
func TestRunAfterItsDeadline(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	run := l.NewRun(l.Step("first", "echo 1 > /data/one"), l.Script("second", l.FailFirst("second")+"; cat /data/one", "first"))
	if end := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)); end.Err != nil || len(end.Result.Failures) != 1 {
		t.Fatalf("the run ended with %+v, %v", end.Result, end.Err)
	}
	setDeadline(t, l, run, time.Now().Add(-time.Hour))
	testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
	checkKeys(t, l, run, time.Now().Add(50*time.Minute), "")
	if n := l.Counter.Count("first"); n != 2 {
		t.Errorf("the first step ran %d times", n)
	}
}

// A run is continued shortly before its deadline: nothing expires before the execution ends, neither what is stored already, nor what a step
// stores that an earlier execution has started.
func TestRunShortlyBeforeItsDeadline(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	run := l.NewRun(l.Step("first", "echo 1 > /data/one"), l.Step("second", l.Wait()+"; echo 2 > /data/two", "first"), l.Step("third", "cat /data/one /data/two", "second"))
	child := l.StartChild(run)
	testenv.Receive(t, "the second step", l.Counter.Arrived)
	runtest.Kill(t, child)
	setDeadline(t, l, run, time.Now().Add(10*time.Minute))
	ctx, done := context.WithTimeout(t.Context(), 2*time.Hour)
	defer done()
	adopted := runtest.Heard(run, workflow.StepAdopted, "second")
	ended := runtest.Execute(ctx, run)
	testenv.Receive(t, "the adoption", adopted)
	checkKeys(t, l, run, time.Now().Add(110*time.Minute), "second")
	l.Counter.Release()
	testenv.Receive(t, "the run", ended).CheckSucceeded(t)
	checkKeys(t, l, run, time.Now().Add(110*time.Minute), "")
	l.CheckRanOnce(run)
}
