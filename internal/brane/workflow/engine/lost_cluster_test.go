package engine_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// kubectl runs kubectl on the test cluster.
func kubectl(t *testing.T, in string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "kubectl", args...)
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("kubectl %q: %v\n%s", args, err, out)
	}
}

// createDeadNode creates a Node without a kubelet, on which only pods run that tolerate everything.
func createDeadNode(t *testing.T) (name string) {
	t.Helper()
	clustertest.RequireOwn(t)
	name = clustertest.Name("dead")
	kubectl(t, `{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "`+name+`", "labels": {"kubernetes.io/hostname": "`+name+`"}},
		"spec": {"taints": [{"key": "brane.test/dead", "effect": "NoSchedule"}]}}`, "create", "-f", "-")
	t.Cleanup(func() { kubectl(t, "", "delete", "node", name) })
	setRoom(t, name, "10")
	return name
}

// setRoom sets how many pods a Node without a kubelet accepts.
func setRoom(t *testing.T, node, pods string) {
	t.Helper()
	room := `{"cpu": "8", "memory": "8Gi", "pods": "` + pods + `"}`
	kubectl(t, "", "patch", "node", node, "--subresource=status", "--type=merge", "-p", `{"status": {"capacity": `+room+`, "allocatable": `+room+`}}`)
}

// A pod whose node does not answer does not end. Its step gets another attempt on another node, and its timeout is enforced.
func TestPodsOfALostNode(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"deleted": 0, "over its timeout": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, node := runtest.New(t), createDeadNode(t)
			step := l.Step("only", "true")
			step.Timeout = timeout
			step.Placement.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
			step.Placement.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
				}}},
			}}}}
			run := l.NewRun(step)
			run.Options.LostAfter = time.Second
			run.Spec.Timeouts = workflow.PodTimeouts{Startup: 10 * time.Minute}
			lost := runtest.Heard(run, workflow.StepLost, "only")
			ended := runtest.Execute(t.Context(), run)
			pod := awaitPodOn(t, l, node)
			setRoom(t, node, "0")
			if timeout == 0 {
				kubectl(t, "", "-n", l.Namespace, "delete", "pod", pod, "--grace-period=1", "--wait=false")
				if detail := testenv.Receive(t, "the loss", lost).Detail; !strings.Contains(detail, "pod "+pod+" has been terminating for") ||
					!strings.Contains(detail, "on node "+node+", which is not ready") || !strings.Contains(detail, "kubectl taint nodes "+node+" node.kubernetes.io/out-of-service=nodeshutdown:NoExecute") {
					t.Errorf("the event is: %s", detail)
				}
				end := testenv.Receive(t, "the run", ended)
				end.CheckSteps(t, map[string]runtest.StepEnd{"only": {Status: workflow.Succeeded, Attempts: 1}})
				return
			}
			end := testenv.Receive(t, "the run", ended)
			if end.Err != nil || len(end.Result.Failures) != 1 {
				t.Fatalf("the run ended with %+v, %v", end.Result, end.Err)
			}
			place := "on node " + node
			if !clustertest.FailsJobsBeforeTheirPods(t) { // the pod was waited for
				place += ", which is not ready"
			}
			if text := end.Result.Failures[0].Detail(); !strings.Contains(text, "DeadlineExceeded") || !strings.Contains(text, place) {
				t.Errorf("the failure is: %s", text)
			}
		})
	}
}

// awaitPodOn waits until a pod of the lab is bound to a node.
func awaitPodOn(t *testing.T, l *runtest.Lab, node string) (name string) {
	t.Helper()
	testenv.Await(t, "a pod on node "+node, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		err := l.Admin.List(ctx, &pods, l.Namespace, "")
		for _, pod := range pods.Items {
			if pod.Spec.NodeName == node {
				name = pod.Name
			}
		}
		return name != "", err
	})
	return name
}
