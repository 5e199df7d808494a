package workflowrun_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// Tests of runs inside the cluster, without a running Terraform.

// Terraform returns immediately; the engine runs the workflow, and a later refresh reads its end and its outputs.
func TestAccWorkflowRun_waitNot(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "inside", "/wait")
	s.AwaitSlowStep(t)
	s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color")

	isRestricted(t, s.AwaitEngine(t))
	s.Server.Release()
	s.AwaitStatus(t, workflow.RunSucceeded)

	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	if got := s.ReadStatus(t); got != "succeeded" {
		t.Errorf("the status is %q", got)
	}
	// The engine has removed the deadline of the outputs.
	kept := 0
	store := acctest.RedisClient(t)
	keys, err := acctest.RunKeys(t.Context(), store, s.CLI.Run(t, "output", "-raw", "id"))
	acctest.NoError(t, err)
	for _, key := range keys {
		if left, err := store.TTL(t.Context(), key).Result(); err != nil {
			t.Fatal(err)
		} else if left < 0 {
			kept++
		}
	}
	if kept == 0 {
		t.Errorf("no key of the run is kept: %q", keys)
	}
	// With wait = true it is the same run.
	s.ChangeConfig(t, "wait = false", "wait = true")
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}

// isRestricted checks that the engine's pod is restricted.
func isRestricted(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	container := pod.Spec.Containers[0]
	security := container.SecurityContext
	for what, ok := range map[string]bool{
		"it is not root":                    security.RunAsNonRoot != nil && *security.RunAsNonRoot,
		"its root is read-only":             security.ReadOnlyRootFilesystem != nil && *security.ReadOnlyRootFilesystem,
		"it has no capabilities":            fmt.Sprint(security.Capabilities.Drop) == "[ALL]" && len(security.Capabilities.Add) == 0,
		"it gains no privileges":            !*security.AllowPrivilegeEscalation,
		"its system calls are filtered":     pod.Spec.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"its memory is limited":             !container.Resources.Limits.Memory().IsZero(),
		"it has the namespace's account":    pod.Spec.ServiceAccountName == "brane",
		"its environment names no password": !strings.Contains(fmt.Sprint(container.Env, container.Args), "redis"),
	} {
		if !ok {
			t.Errorf("not true of the engine's pod: %s", what)
		}
	}
}
