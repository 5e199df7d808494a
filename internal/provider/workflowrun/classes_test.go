package workflowrun_test

import (
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// A step has the runtime and the priority of the classes that it names: what admission has made of them stands in its pod.
func TestAccWorkflowRun_classes(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRunIn(t, nil, "classes", `
  defaults = { priority_class_name = "$NAMESPACE" }
  steps    = { only = { image = "$TOOLS", command = ["sh", "-ec", "$WAIT"], runtime_class_name = "$NAMESPACE" } }
`)
	t.Cleanup(func() { s.Kubectl(t, "", "delete", "runtimeclass,priorityclass", s.Namespace) })
	s.Kubectl(t, strings.ReplaceAll(`
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: $NAME}
handler: runc
overhead: {podFixed: {memory: 3Mi}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: $NAME}
value: 7
`, "$NAME", s.Namespace), "create", "-f", "-")
	a := heldrun.StartApply(t, s.CLI)
	s.AwaitSlowStep(t)
	pod := s.FindPod(t, "only").Spec
	if pod.RuntimeClassName == nil || *pod.RuntimeClassName != s.Namespace || pod.Overhead.Memory().String() != "3Mi" {
		t.Errorf("the pod has runtime class %v and overhead %v", pod.RuntimeClassName, pod.Overhead)
	}
	if pod.PriorityClassName != s.Namespace || pod.Priority == nil || *pod.Priority != 7 {
		t.Errorf("the pod has priority class %q and priority %v", pod.PriorityClassName, pod.Priority)
	}
	s.Server.Release()
	s.CheckErrors(t, a, "")
	s.CheckNothingLeft(t)
}

// What another step gives back is waited for as a node is, however short startup_timeout is for what is missing.
func TestAccWorkflowRun_quota(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRunIn(t, nil, "quota", `
  steps = {
    one = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/one; sleep 4"] }
    two = { image = "$TOOLS", command = ["sh", "-ec", "$RAN/two; sleep 4"] }
  }
  startup_timeout = "1s"
`)
	createQuota(t, s.Env)
	s.CheckErrors(t, heldrun.StartApply(t, s.CLI), "")
	if got := s.CountStarts(t); got != "one 1, two 1" {
		t.Errorf("the steps ran: %s", got)
	}
	s.CheckNothingLeft(t)
}
