package workflowrun_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Tests of runs inside the cluster, without a running Terraform.

// newDetachedSurvival returns a run with wait = false that has been applied.
func newDetachedSurvival(t *testing.T, name, slow string) *survival {
	t.Helper()
	s := newSurvival(t, name, "wait = false\nsecret_env_wo = { for step in [\"first\", \"slow\", \"last\"] : step => { SAID = \"abracadabra\" } }\nsecret_env_wo_version = 1", slow)
	s.cli.Run(t, "apply", "-auto-approve", "-no-color")
	if got := s.readStatus(t); got != "running" {
		t.Fatalf("the status is %q", got)
	}
	return s
}

// awaitSlowStep waits until the slow step is running.
func (s *survival) awaitSlowStep(t *testing.T) {
	t.Helper()
	s.awaitID(t) // while the run's record exists
	awaitClosed(t, "the slow step to start", s.server.arrived)
}

// changeConfig replaces text in the configuration.
func (s *survival) changeConfig(t *testing.T, from, to string) {
	t.Helper()
	name := filepath.Join(s.cli.Directory, "main.tf")
	text, err := os.ReadFile(name)
	acctest.NoError(t, err)
	if !strings.Contains(string(text), from) {
		t.Fatalf("the configuration holds no %q:\n%s", from, text)
	}
	acctest.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(text), from, to, 1)), 0o600))
}

// awaitEnd waits for the end of the run and returns its status.
func (s *survival) awaitEnd(t *testing.T) workflow.RunStatus {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 3*time.Minute)
	defer done()
	found, err := detached.Wait(ctx, s.Client, workflow.Ref{ID: s.awaitID(t), Namespace: s.Namespace}, nil)
	acctest.NoError(t, err)
	return found.Status
}

// awaitEngine waits for a running pod of the engine, other than these, and returns it.
func (s *survival) awaitEngine(t *testing.T, than ...string) *corev1.Pod {
	t.Helper()
	var engine *corev1.Pod
	acctest.NoError(t, wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, 3*time.Minute, true, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		if err := s.Client.List(ctx, &pods, s.Namespace, workflow.EngineLabel); err != nil {
			return false, err
		}
		for i, pod := range pods.Items {
			if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil && !strings.Contains(strings.Join(than, " "), pod.Name) {
				engine = &pods.Items[i]
			}
		}
		return engine != nil, nil
	}))
	return engine
}

// Terraform returns immediately; the engine runs the workflow, and a later refresh reads its end and its outputs.
func TestAccWorkflowRun_waitNot(t *testing.T) {
	t.Parallel()
	s := newDetachedSurvival(t, "inside", "/wait")
	s.awaitSlowStep(t)
	s.cli.Run(t, "plan", "-detailed-exitcode", "-no-color")

	isRestricted(t, s.awaitEngine(t))
	close(s.server.release)
	if got := s.awaitEnd(t); got != workflow.RunSucceeded {
		t.Fatalf("the run has %s", got)
	}

	s.checkEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	if got := s.readStatus(t); got != "succeeded" {
		t.Errorf("the status is %q", got)
	}
	// The engine has removed the deadline of the outputs.
	kept := 0
	store := acctest.RedisClient(t)
	keys, err := acctest.RunKeys(t.Context(), store, s.cli.Run(t, "output", "-raw", "id"))
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
	s.changeConfig(t, "wait = false", "wait = true")
	s.checkEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.checkNothingLeft(t)
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
	s := newDetachedSurvival(t, "failing", "/works")
	if got := s.awaitEnd(t); got != workflow.RunFailed {
		t.Fatalf("the run has %s", got)
	}
	for range 2 { // before and after the state contains the failure
		cmd, out := s.cli.Command(t.Context(), "plan", "-detailed-exitcode", "-no-color")
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 {
			t.Fatalf("the plan ended with %v:\n%s", err, out)
		}
		checkOutput(t, out, `Step "slow" of run "failing" failed`, "server returned error: HTTP/1.1 503", `step \"slow\" failed: Error, exit code 1`, "will be updated in-place")
		s.cli.Run(t, "apply", "-refresh-only", "-auto-approve", "-no-color")
	}
	if got := s.readStatus(t); got != "failed" {
		t.Errorf("the status is %q", got)
	}
	s.server.works.Store(true)
	s.changeConfig(t, "wait = false", "wait = true")
	s.checkEnd(t, map[string]int{"first": 1, "slow": 2, "last": 1})
	s.checkNothingLeft(t)
}

// With wait = true, apply waits for a run inside the cluster.
func TestAccWorkflowRun_waitAfterAll(t *testing.T) {
	t.Parallel()
	s := newDetachedSurvival(t, "awaited", "/wait; echo so $SAID")
	s.awaitSlowStep(t)
	page := s.ControlPlaneFile("awaited.html")
	s.changeConfig(t, "wait = false", fmt.Sprintf("wait = true\nreport_path = %q", page))
	cmd, out := s.cli.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.Stdout = nil
	stdout, err := cmd.StdoutPipe()
	acctest.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	acctest.NoError(t, cmd.Start())
	for lines := bufio.NewReader(io.TeeReader(stdout, out)); ; {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, "Modifying...") {
			close(s.server.release)
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkOutput(t, out, "0 added, 1 changed, 0 destroyed")
	acctest.NoError(t, pageSays(page, []string{"3 steps in", "so (secret)"}, []string{"abracadabra"})(nil))
	s.checkEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.checkNothingLeft(t)
}
