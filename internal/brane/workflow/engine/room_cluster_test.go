package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// limitObjects creates a quota, and waits until it is enforced.
func limitObjects(t *testing.T, l *runtest.Lab, name string, hard corev1.ResourceList) {
	t.Helper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name}}
	quota.Spec.Hard = hard
	if err := l.Admin.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	testenv.Await(t, "the quota", func(ctx context.Context) (bool, error) {
		err := l.Admin.Get(ctx, quota)
		return len(quota.Status.Hard) > 0, err
	})
}

// addResource lets a node offer one unit of a new resource, which no other test requests, and returns the name of the resource.
func addResource(t *testing.T, l *runtest.Lab) corev1.ResourceName {
	t.Helper()
	var nodes corev1.NodeList
	if err := l.Admin.List(t.Context(), &nodes, "", ""); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(nodes.Items, func(node corev1.Node) bool { return node.Status.NodeInfo.KubeletVersion != "" }) // not one of a test that has no kubelet
	if i < 0 {
		t.Fatal("no node has a kubelet")
	}
	node, resource := nodes.Items[i].Name, "test.example.org/"+l.Namespace
	patch := func(amount string) {
		kubectl(t, "", "patch", "node", node, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(`{"status": {"capacity": {%[1]q: %[2]s}, "allocatable": {%[1]q: %[2]s}}}`, resource, amount))
	}
	patch(`"1"`)
	t.Cleanup(func() { patch("null") })
	return corev1.ResourceName(resource)
}

// Steps and indexes that only wait for what others of the run hold run one after the other, although each waits for longer than the
// scheduling timeout.
func TestStepsWaitForRoomOfTheirRun(t *testing.T) {
	t.Parallel()
	one := resource.MustParse("1")
	for name, tt := range map[string]struct {
		quota corev1.ResourceList // without it, a node has room for one pod
	}{
		"a full node":     {nil},
		"a quota of pods": {corev1.ResourceList{corev1.ResourcePods: one}},
		"a quota of Jobs": {corev1.ResourceList{"count/jobs.batch": one}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			first, fan := l.Step("first", "sleep 8"), l.Step("fan", "sleep 8")
			fan.Completions = 2
			if tt.quota != nil {
				limitObjects(t, l, "few", tt.quota)
			} else {
				limits := corev1.ResourceList{addResource(t, l): one}
				first.Resources.Limits, fan.Resources.Limits = limits, limits
			}
			run := l.NewRun(first, fan, l.Step("last", "true", "first", "fan"))
			run.Spec.Timeouts = workflow.PodTimeouts{Startup: time.Second, Scheduling: 4 * time.Second}
			testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
			if n := [3]int{l.Counter.Count("first"), l.Counter.Count("fan"), l.Counter.Count("last")}; n != [3]int{1, 2, 1} {
				t.Errorf("the steps ran %v times", n)
			}
		})
	}
}

// A quota that others have used up fails the step after the scheduling timeout, and a quota that is too small for the step does at once.
func TestQuotaThatOthersHold(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"used up": "1", "too small": "0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			if limit == "1" {
				other := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "other"}, Spec: batchv1.JobSpec{Suspend: new(true)}}
				other.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "none"}}}
				if err := l.Admin.Create(t.Context(), other); err != nil {
					t.Fatal(err)
				}
			}
			limitObjects(t, l, "few", corev1.ResourceList{"count/jobs.batch": resource.MustParse(limit)})
			run := l.NewRun(l.Step("refused", "true"))
			run.Spec.Timeouts = workflow.PodTimeouts{Scheduling: 40 * time.Second} // longer than a denial is retried
			began := time.Now()
			end := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
			if end.Err != nil || len(end.Result.Failures) != 1 {
				t.Fatalf("the run ended with %+v, %v", end.Result, end.Err)
			}
			if detail := end.Result.Failures[0].Detail(); !strings.Contains(detail, "JobRefused") || !strings.Contains(detail, "exceeded quota: few") {
				t.Errorf("the step failed with %s", detail)
			}
			if took := time.Since(began); (took > 40*time.Second) != (limit == "1") {
				t.Errorf("it took %s", took)
			}
		})
	}
}
