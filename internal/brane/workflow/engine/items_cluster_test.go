package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The Job and the pods of a fan-out step with 300 long items contain none of them, at most 100 pods exist at the same time, and each command gets its item.
func TestManyLongItems(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	const long = 2000
	fan := l.Step("fan", fmt.Sprintf(`test ${#BRANE_ITEM} = %d; test "${BRANE_ITEM%%%%x*}" = $BRANE_INDEX; %s`, long, l.Wait()))
	for i := range 300 {
		index := fmt.Sprint(i)
		fan.Items = append(fan.Items, index+strings.Repeat("x", long-len(index)))
	}
	fan.Completions = len(fan.Items)
	fan.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("400m")} // a few run, all others wait
	run := l.NewRun(fan)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	execution := runtest.Execute(ctx, run)
	l.AwaitCount("fan", 2)

	var jobs batchv1.JobList
	var pods corev1.PodList
	for _, list := range []kube.List{&jobs, &pods} {
		if err := l.Admin.List(t.Context(), list, l.Namespace, run.Spec.Ref().StepsSelector()); err != nil {
			t.Fatal(err)
		}
	}
	if len(jobs.Items) != 1 || *jobs.Items[0].Spec.Parallelism != 100 || *jobs.Items[0].Spec.Completions != 300 || len(pods.Items) < 1 || len(pods.Items) > 100 {
		t.Fatalf("there are %d Jobs, with %d pods", len(jobs.Items), len(pods.Items))
	}
	largest := 0
	for _, pod := range pods.Items {
		pod.ManagedFields = nil
		largest = max(largest, checkNoItems(t, pod.Name, pod))
	}
	jobs.Items[0].ManagedFields = nil
	t.Logf("the Job has %d bytes, the largest of %d pods %d", checkNoItems(t, "the Job", jobs.Items[0]), len(pods.Items), largest)

	l.Counter.Release()
	l.AwaitCount("fan", 12) // so others have ended
	interrupt()
	testenv.Receive(t, "the execution", execution)
	fingerprints, err := run.Clients.Results.Files().Fingerprints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := run.Clients.Results.Files().Commits(t.Context(), run.Spec.Graph.Step("fan").IndexFingerprints(fingerprints["fan"].Seen()))
	if err != nil || len(stored) < 2 {
		t.Errorf("%d indexes are committed, %v", len(stored), err)
	}
}

// checkNoItems checks that an object contains no item, and returns its size as JSON.
func checkNoItems(t *testing.T, name string, object any) int {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil || strings.Contains(string(text), "xxxx") || len(text) > 12<<10 {
		t.Errorf("%s has %d bytes, %v", name, len(text), err)
	}
	return len(text)
}
