//go:build long

package workflowrun_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// A run that has failed inside the cluster is reported by the next refresh, and the next apply continues it.
func TestLongAccWorkflowRun_waitNotFailed(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "failing", "/works")
	s.AwaitStatus(t, workflow.RunFailed)
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
func TestLongAccWorkflowRun_waitAfterAll(t *testing.T) {
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
