package workflowrun_test

import (
	"bufio"
	"fmt"
	"io"
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
	if got := s.AwaitEnd(t); got != workflow.RunSucceeded {
		t.Fatalf("the run has %s", got)
	}

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
		"it is not root":                    pod.Spec.SecurityContext.RunAsNonRoot != nil && *pod.Spec.SecurityContext.RunAsNonRoot,
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

// A run that has failed inside the cluster is reported by the next refresh, and the next apply continues it.
func TestAccWorkflowRun_waitNotFailed(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "failing", "/works")
	if got := s.AwaitEnd(t); got != workflow.RunFailed {
		t.Fatalf("the run has %s", got)
	}
	for range 2 { // before and after the state contains the failure
		cmd, out := s.CLI.Command(t.Context(), "plan", "-detailed-exitcode", "-no-color")
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 {
			t.Fatalf("the plan ended with %v:\n%s", err, out)
		}
		heldrun.CheckOutput(t, out, `Step "slow" of run "failing" failed`, "server returned error: HTTP/1.1 503", `step \"slow\" failed: Error, exit code 1`, "will be updated in-place")
		s.CLI.Run(t, "apply", "-refresh-only", "-auto-approve", "-no-color")
	}
	if got := s.ReadStatus(t); got != "failed" {
		t.Errorf("the status is %q", got)
	}
	s.Server.Works.Store(true)
	s.ChangeConfig(t, "wait = false", "wait = true")
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 2, "last": 1})
	s.CheckNothingLeft(t)
}

// With wait = true, apply waits for a run inside the cluster.
func TestAccWorkflowRun_waitAfterAll(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "awaited", "/wait; echo so $SAID")
	s.AwaitSlowStep(t)
	page := s.ControlPlaneFile("awaited.html")
	s.ChangeConfig(t, "wait = false", fmt.Sprintf("wait = true\nreport_path = %q", page))
	cmd, out := s.CLI.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.Stdout = nil
	stdout, err := cmd.StdoutPipe()
	acctest.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	acctest.NoError(t, cmd.Start())
	for lines := bufio.NewReader(io.TeeReader(stdout, out)); ; {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, "Modifying...") {
			s.Server.Release()
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	heldrun.CheckOutput(t, out, "0 added, 1 changed, 0 destroyed")
	acctest.NoError(t, pageSays(page, []string{"3 steps in", "so (secret)"}, []string{"abracadabra"})(nil))
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}
