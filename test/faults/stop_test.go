package faults_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// halfDone is a step that writes half of its result, exits with 0 when it is asked to stop, and writes all of it when nobody asks. The step needs what the server
// answers with as well, so that the other step can fail in the meantime. $MORE are attributes of the step.
const halfDone = `
  steps = {
    slow = {
      image   = "$TOOLS"
      command = ["sh", "-ec", "trap 'exit 0' TERM; echo half > /data/both; $WAIT || true; $WORKS || while :; do sleep 0.1; done; printf 'first\\nslow\\n' > /data/both"]
      $MORE
    }
    $OTHER
  }
  outputs = { both = { path = "both" } }
`

// halfDoneWith fills a step into halfDone.
func halfDoneWith(more, other string) string {
	return strings.NewReplacer("$MORE", more, "$OTHER", other).Replace(halfDone)
}

// stops are what asks a command to stop.
var stops = map[string]runFault{
	"its pod is deleted": {
		steps: halfDoneWith("", ""),
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			deleteSlowPod(t, s)
			releaseSteps(s)
		},
		status: "succeeded",
	},
	"the pod of its index is deleted": {
		isLong: true,
		steps:  halfDoneWith("completions = 1", ""),
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			deleteSlowPod(t, s)
			releaseSteps(s)
		},
		status: "succeeded",
	},
	"its pod is evicted by the drain of its node": {
		isLong: true,
		steps:  halfDoneWith("", ""),
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			s.AwaitSlowStep(t)
			evictSlowPod(t, s)
			releaseSteps(s)
		},
		status: "succeeded",
	},
	"its pod is preempted": {
		isLong:  true,
		steps:   halfDoneWith(`resources = { limits = { "example.com/$NAMESPACE" = "1" } }`, ""),
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) { preemptPod(t, s, "slow"); releaseSteps(s) },
		status:  "succeeded",
	},
	"its timeout is over": {
		isLong:  true,
		steps:   halfDoneWith(`timeout = "1h"`, ""),
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) { s.AwaitSlowStep(t); passTimeout(t, s, "slow", 1) },
		says: `
Step "slow" of run "fault" failed
Job brane-$RUN-slow-1 in namespace $NAMESPACE, pod brane-$RUN-slow-1-POD on node $NODE: DeadlineExceeded: Job was active longer than specified deadline.

Last lines:
  Terminated
  brane: step "slow": the container received SIGTERM before the command had ended; it exited with code 0, and its files are not stored

Raise the step's timeout, or find out why it takes so long: kubectl -n $NAMESPACE describe job/brane-$RUN-slow-1
After such a change, only this step and those that need it run.`,
		status: "failed",
	},
	"Ctrl-C": {
		steps:   halfDoneWith("", ""),
		happens: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) { s.AwaitSlowStep(t); a.Interrupt(t) },
		says:    stopped,
		status:  "stopped",
	},
	"another step fails": {
		steps: halfDoneWith("", `other = { image = "$TOOLS", command = ["sh", "-ec", "$WAIT; $WORKS"] }`),
		happens: func(t *testing.T, s *heldrun.Run, _ *heldrun.Apply) {
			testenv.AwaitTrue(t, "both steps to be at work", func() bool { return s.Server.Waiting.Load() == 2 })
			s.Server.Release()
		},
		says: `
Step "other" of run "fault" failed
Job brane-$RUN-other-1 in namespace $NAMESPACE, pod brane-$RUN-other-1-POD on node $NODE: the command failed with exit code 1 (Error).

Last lines:
  wget: server returned error: HTTP/1.1 503 Service Unavailable

See everything: kubectl -n $NAMESPACE logs job/brane-$RUN-other-1 --all-containers

Because of this 1 of 2 steps were stopped or not started.`,
		status:  "failed",
		crowded: true,
	},
}

// TestAccRunStops stops a command that exits with 0 then. It has not finished its work, so nothing of it is stored, whoever asked. If the pod alone was stopped, another
// one does the work in the same apply; otherwise the next apply does. The output is never "half".
func TestAccRunStops(t *testing.T) {
	t.Parallel()
	testStops(t, false)
}

// testStops tests the rows of [stops] that make test has time for, or the others.
func testStops(t *testing.T, isLong bool) {
	t.Helper()
	for name, f := range stops {
		if f.isLong != isLong {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := heldrun.NewRunIn(t, nil, "fault", f.configBody())
			// The removal of the run's own Redis user, after an interrupt or a failure, would hide a commit that the agent tries.
			s.ChangeConfig(t, `provider "brane" {`, "provider \"brane\" {\n  redis = { acl_users = \"off\" }")
			f.runTest(t, s)
		})
	}
}

// releaseSteps lets the steps that wait finish.
func releaseSteps(s *heldrun.Run) {
	s.Server.Works.Store(true)
	s.Server.Release()
}

// preemptPod lets a pod of a higher priority take the resource that the step's pod has, of which the node has one, and waits until that pod is gone. Before the step
// can start, the node gets the resource.
func preemptPod(t *testing.T, s *heldrun.Run, step string) {
	t.Helper()
	var nodes corev1.NodeList
	acctest.NoError(t, s.Client.List(t.Context(), &nodes, "", ""))
	if len(nodes.Items) != 1 {
		t.Fatalf("the cluster has %d nodes", len(nodes.Items))
	}
	resource := func(operation string) {
		s.Kubectl(t, "", "patch", "node", nodes.Items[0].Name, "--subresource=status", "--type=json",
			"-p", strings.NewReplacer("$OPERATION", operation, "$NAME", s.Namespace).Replace(`[{"op":"$OPERATION","path":"/status/capacity/example.com~1$NAME","value":"1"}]`))
	}
	resource("add")
	t.Cleanup(func() {
		resource("remove")
		s.Kubectl(t, "", "delete", "priorityclass", s.Namespace)
	})
	s.AwaitSlowStep(t)
	pod := s.FindPod(t, step)
	s.Kubectl(t, strings.NewReplacer("$NAME", s.Namespace, "$IMAGE", pod.Spec.Containers[0].Image).Replace(`
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: $NAME}
value: 1000
---
apiVersion: v1
kind: Pod
metadata: {name: urgent, namespace: $NAME}
spec:
  priorityClassName: $NAME
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers:
  - name: urgent
    image: $IMAGE
    command: [sleep, "600"]
    resources: {limits: {example.com/$NAME: 1}}
`), "create", "-f", "-")
	testenv.AwaitTrue(t, "the pod to be gone", func() bool { return s.CheckGone(pod) == nil })
	s.Kubectl(t, "", "-n", s.Namespace, "delete", "pod", "urgent")
}
