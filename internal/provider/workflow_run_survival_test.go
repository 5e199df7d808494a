package provider_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// What a user sees when an apply does not come to its end, and what the next one does. The steps count their starts.
//
//	first ─── slow ─── last
type survival struct {
	setting
	cli    *cli
	server *caller
}

// newSurvival is a run whose slow step asks the server for something.
func newSurvival(t *testing.T, name, attributes, slow string) *survival {
	t.Helper()
	s := &survival{newSetting(t), newCLI(t), newCaller(t)}
	s.register(t)
	count := func(step string) string { return "wget -q -O /dev/null " + s.server.url + "/ran/" + step }
	s.cli.write(t, "main.tf", required+s.run(t, name, attributes+strings.NewReplacer("$FIRST", count("first"), "$SLOW", count("slow"), "$LAST", count("last"),
		"$DO", "wget -q -O /dev/null "+s.server.url+slow).Replace(`
  steps = {
    first = { image = "$TOOLS", command = ["sh", "-ec", "$FIRST; echo first > /data/first"] }
    slow  = { image = "$TOOLS", command = ["sh", "-ec", "$SLOW; $DO; echo slow > /data/slow"], needs = ["first"] }
    last  = { image = "$TOOLS", command = ["sh", "-ec", "$LAST; cat /data/first /data/slow > /data/both"], needs = ["slow"] }
  }
  outputs  = { both = { path = "both" } }
  timeouts = { create = "5m" }
`))+`
output "id" { value = brane_workflow_run.test.id }
output "both" { value = brane_workflow_run.test.outputs.both.content }
`)
	s.cli.run(t, "init", "-no-color")
	s.cli.destroyAtEnd(t)
	return s
}

// apply applies, which has to fail with these sentences.
func (s *survival) fails(t *testing.T, args []string, sentences ...string) {
	t.Helper()
	cmd, out := s.cli.command(t.Context(), append([]string{"apply", "-auto-approve", "-no-color"}, args...)...)
	if err := cmd.Run(); err == nil {
		t.Fatalf("apply did not fail:\n%s", out)
	}
	tells(t, out, sentences...)
}

func tells(t *testing.T, out *bytes.Buffer, sentences ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "│", "")), " ")
	for _, sentence := range sentences {
		if !strings.Contains(text, sentence) {
			t.Errorf("the CLI does not say %q but\n%s", sentence, out)
		}
	}
}

// interrupted applies and presses Ctrl-C while the slow step runs; a terminal sends that to the whole process group.
func (s *survival) interrupted(t *testing.T) *bytes.Buffer {
	t.Helper()
	cmd, out := s.cli.command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-s.server.arrived:
	case err := <-ended:
		t.Fatalf("apply ended too early: %v\n%s", err, out)
	}
	must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	if err := <-ended; err == nil {
		t.Fatalf("the interrupted apply succeeded:\n%s", out)
	}
	return out
}

// ends applies, which has to succeed, and checks how often each step has run in all.
func (s *survival) ends(t *testing.T, ran map[string]int, args ...string) {
	t.Helper()
	s.cli.run(t, append([]string{"apply", "-auto-approve", "-no-color"}, args...)...)
	if got := strings.TrimSpace(s.cli.run(t, "output", "-raw", "both")); got != "first\nslow" {
		t.Errorf("the output is %q", got)
	}
	if got, want := fmt.Sprint(s.server.counts()), fmt.Sprint(ran); got != want {
		t.Errorf("the steps ran %s times, not %s", got, want)
	}
	s.cli.run(t, "plan", "-detailed-exitcode", "-no-color")
}

// leavesNothing destroys and looks.
func (s *survival) leavesNothing(t *testing.T) {
	t.Helper()
	id := s.cli.run(t, "output", "-raw", "id")
	s.cli.run(t, "destroy", "-auto-approve", "-no-color")
	must(t, s.nothingOfRuns(t.Context()))
	must(t, nothingInRedis(t.Context(), redisClient(t), id))
}

// steps are the steps of which there are Jobs.
func (s *survival) steps(t *testing.T) []string {
	t.Helper()
	var jobs batchv1.JobList
	must(t, s.client.List(t.Context(), &jobs, s.namespace, workflow.StepLabel))
	var steps []string
	for _, job := range jobs.Items {
		steps = append(steps, job.Labels[workflow.StepLabel])
	}
	slices.Sort(steps)
	return steps
}

func (s *survival) status(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.cli.program, "state", "show", "-no-color", runAddress)
	cmd.Dir, cmd.Env = s.cli.dir, s.cli.env
	out, err := cmd.Output()
	must(t, err)
	for line := range strings.Lines(string(out)) {
		if name, value, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "status" && strings.HasPrefix(line, "    status") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// A step fails for a reason outside of the configuration. Terraform replaces the run, which goes on from its commits. What was started ahead of the failure
// is taken back.
func TestAccWorkflowRun_goesOnAfterFailure(t *testing.T) {
	t.Parallel()
	s := newSurvival(t, "again", "start_ahead = true", "/works")
	s.fails(t, nil, `Step "slow" of run "again" failed`)
	if got := s.status(t); got != "failed" {
		t.Errorf("the status is %q", got)
	}
	s.server.works.Store(true)
	s.ends(t, map[string]int{"first": 1, "slow": 2, "last": 1})
	s.leavesNothing(t)
}

// With create_before_destroy the run goes on before the failed one is deleted, which has the same id.
func TestAccWorkflowRun_createBeforeDestroy(t *testing.T) {
	t.Parallel()
	s := newSurvival(t, "first-made", "lifecycle { create_before_destroy = true }", "/works")
	s.fails(t, nil, `Step "slow" of run "first-made" failed`)
	s.server.works.Store(true)
	s.ends(t, map[string]int{"first": 1, "slow": 2, "last": 1})
	if got := s.steps(t); fmt.Sprint(got) != "[first last slow slow]" {
		t.Errorf("there are Jobs of %q", got)
	}
	s.leavesNothing(t)
}

// Ctrl-C stops what runs and keeps what is done.
func TestAccWorkflowRun_interrupted(t *testing.T) {
	t.Parallel()
	s := newSurvival(t, "interrupted", "", "/wait")
	tells(t, s.interrupted(t), "Run interrupted", "The steps that ran were stopped. Apply again to go on: what is done is not done again.")
	if got := s.steps(t); fmt.Sprint(got) != "[first]" {
		t.Errorf("there are Jobs of %q", got)
	}
	if got := s.status(t); got != "stopped" {
		t.Errorf("the status is %q", got)
	}
	close(s.server.release)
	s.ends(t, map[string]int{"first": 1, "slow": 2, "last": 1})
	s.leavesNothing(t)
}

// Ctrl-C lets run on what runs; the next apply takes it up. A destroy meanwhile would stop it.
func TestAccWorkflowRun_detached(t *testing.T) {
	t.Parallel()
	s := newSurvival(t, "detached", `on_cancel = "detach"`, "/wait")
	tells(t, s.interrupted(t), "Run left to itself", "Apply again to take it up: what is done meanwhile is not done again.")
	if got := s.steps(t); fmt.Sprint(got) != "[first slow]" {
		t.Errorf("there are Jobs of %q", got)
	}
	if got := s.status(t); got != "running" {
		t.Errorf("the status is %q", got)
	}
	close(s.server.release)
	s.ends(t, map[string]int{"first": 1, "slow": 1, "last": 1})

	// One that has succeeded begins anew when it is replaced.
	s.ends(t, map[string]int{"first": 2, "slow": 2, "last": 2}, "-replace="+runAddress)
	s.leavesNothing(t)
}

// A run that an interrupted apply has left running is stopped by its destruction.
func TestAccWorkflowRun_destroyedWhileRunning(t *testing.T) {
	t.Parallel()
	s := newSurvival(t, "unwanted", `on_cancel = "detach"`, "/wait")
	s.interrupted(t)
	s.leavesNothing(t)
}
