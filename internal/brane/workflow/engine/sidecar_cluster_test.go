package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// injections are what webhooks do to pods: they add a container before or after those of the step. Each has another exit code than the
// steps of the test when it is stopped.
var injections = map[string]func(pod *corev1.Pod, sidecar corev1.Container){
	"classic, before": func(pod *corev1.Pod, sidecar corev1.Container) {
		pod.Spec.Containers = slices.Insert(pod.Spec.Containers, 0, sidecar)
	},
	"classic, after": func(pod *corev1.Pod, sidecar corev1.Container) {
		pod.Spec.Containers = append(pod.Spec.Containers, sidecar)
	},
	"native, before": func(pod *corev1.Pod, sidecar corev1.Container) {
		sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		pod.Spec.InitContainers = slices.Insert(pod.Spec.InitContainers, 0, sidecar)
	},
	"native, after": func(pod *corev1.Pod, sidecar corev1.Container) {
		sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, sidecar)
	},
}

// injectSidecar lets a webhook add a sidecar to the pods of a lab.
func injectSidecar(t *testing.T, l *runtest.Lab, script string, inject func(pod *corev1.Pod, sidecar corev1.Container)) {
	t.Helper()
	sidecar := corev1.Container{Name: "a-sidecar", Image: l.Getenv("BRANE_TOOLS_IMAGE"), Command: []string{"sh", "-c", script}}
	clustertest.MutatePods(t, l.Namespace, func(pod *corev1.Pod) error {
		inject(pod, sidecar)
		return nil
	})
}

// runsOn is a sidecar that runs until it is stopped, and exits with 17 then.
const runsOn = `trap "exit 17" TERM; echo "the sidecar runs"; while :; do sleep 1; done`

// A step is judged by its own container, whatever a webhook adds to its pod, and its resources are released when it has ended.
func TestSidecars(t *testing.T) {
	t.Parallel()
	for name, inject := range injections {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			injectSidecar(t, l, runsOn, inject)
			flaky, fan, bad := l.Script("flaky", l.FailFirst("flaky")), l.Step("fan", "true"), l.Step("bad", "echo the step fails; exit 3", "flaky", "fan")
			flaky.Retries, fan.Completions, fan.Parallel = 1, 3, 1
			run := l.NewRun(flaky, fan, bad)
			end := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
			end.CheckSteps(t, map[string]runtest.StepEnd{
				"flaky": {Status: workflow.Succeeded, Attempts: 2}, "fan": {Status: workflow.Succeeded, Attempts: 1}, "bad": {Status: workflow.Failed, Code: 3, Attempts: 1},
			})
			if len(end.Result.Failures) != 1 {
				t.Fatalf("the failures are %v", end.Result.Failures)
			}
			detail := end.Result.Failures[0].Detail()
			if !strings.Contains(detail, "the command failed with exit code 3 (Error).") || !strings.Contains(detail, "the step fails") || strings.Contains(detail, "sidecar") {
				t.Errorf("the failure is: %s", detail)
			}
			if n := [3]int{l.Counter.Count("flaky"), l.Counter.Count("fan"), l.Counter.Count("bad")}; n != [3]int{2, 3, 1} {
				t.Errorf("the commands ran %v times", n)
			}
			awaitNoRunningPods(t, l)
		})
	}
}

// awaitNoRunningPods waits until all pods of a lab have ended or are gone.
func awaitNoRunningPods(t *testing.T, l *runtest.Lab) {
	t.Helper()
	var running []string
	err := testenv.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		err := l.Admin.List(ctx, &pods, l.Namespace, "")
		running = nil
		for _, pod := range pods.Items {
			if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
				running = append(running, pod.Name)
			}
		}
		return len(running) == 0, err
	})
	if err != nil {
		t.Errorf("pods %q keep running: %v", running, err)
	}
}

// The pods of steps that succeed are released at the end of a run as well.
func TestSidecarsOfASuccessfulRun(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	injectSidecar(t, l, "exec sleep 3600", injections["classic, after"]) // ignores SIGTERM
	run := l.NewRun(l.Step("first", "true"), l.Step("last", "true", "first"))
	testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
	awaitNoRunningPods(t, l)
	l.CheckRanOnce(run)
}

// Sidecars that fail while the step runs change nothing: neither one that exits, nor one that has no image, nor one that crashes again and
// again.
func TestSidecarsThatFail(t *testing.T) {
	t.Parallel()
	for name, inject := range injections {
		for _, fault := range []string{"exits", "has no image"} {
			if fault == "has no image" && strings.HasPrefix(name, "native") {
				continue // the kubelet does not start the step then
			}
			t.Run(name+" "+fault, func(t *testing.T) {
				t.Parallel()
				l := runtest.New(t)
				injectSidecar(t, l, "sleep 2; exit 9", func(pod *corev1.Pod, sidecar corev1.Container) {
					if fault == "has no image" {
						sidecar.Image = l.Getenv("BRANE_REGISTRY") + "/missing:1"
					}
					inject(pod, sidecar)
				})
				step, fan := l.Step("step", "sleep 8"), l.Step("fan", "sleep 8")
				step.Retries, fan.Completions, fan.Retries = 1, 2, 1
				run := l.NewRun(step, fan)
				if fault == "has no image" {
					run.Spec.Timeouts = workflow.PodTimeouts{Startup: 2 * time.Second}
				}
				testenv.Receive(t, "the run", runtest.Execute(t.Context(), run)).CheckSucceeded(t)
				if n := [2]int{l.Counter.Count("step"), l.Counter.Count("fan")}; n != [2]int{1, 2} {
					t.Errorf("the commands ran %v times", n)
				}
				awaitNoRunningPods(t, l)
			})
		}
	}
}

// A fan-out step stops when more indexes have failed than are allowed, and committed ones whose sidecar fails do not count.
func TestFailedIndexesBesideSidecars(t *testing.T) {
	t.Parallel()
	for name, isInjected := range map[string]bool{"with sidecars": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			if isInjected {
				injectSidecar(t, l, runsOn, injections["classic, before"])
			}
			fan := l.Step("fan", `case $BRANE_INDEX in 2|3) exit 7;; 5) echo never; `+l.Wait()+`;; esac`)
			fan.Completions, fan.Parallel, fan.MaxFailedIndexes = 6, 1, 1
			run := l.NewRun(fan)
			end := testenv.Receive(t, "the run", runtest.Execute(t.Context(), run))
			end.CheckSteps(t, map[string]runtest.StepEnd{"fan": {Status: workflow.Failed, Code: 7, Attempts: 1}})
			if text := end.Result.Failures[0].Detail(); !strings.Contains(text, "the command failed with exit code 7 (Error)") {
				t.Errorf("the failure is: %s", text)
			}
			awaitNoRunningPods(t, l)
			var jobs batchv1.JobList
			if err := l.Admin.List(t.Context(), &jobs, l.Namespace, ""); err != nil || len(jobs.Items) != 1 {
				t.Errorf("%d Jobs are kept for inspection, %v", len(jobs.Items), err)
			}
			indexes, err := run.Clients.Results.Indexes(t.Context(), "fan", l.Result(run, "fan").Fingerprint)
			if err != nil || !indexes[0].IsCommitted || !indexes[1].IsCommitted || indexes[5].Attempts != 0 {
				t.Errorf("the indexes are %+v, %v", indexes, err)
			}
		})
	}
}
