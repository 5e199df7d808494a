package heldrun

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Killed is the error of an apply whose provider was killed.
const Killed = `
Plugin did not respond
The plugin encountered an error, and failed to respond to the plugin6.(*GRPCProvider).ApplyResourceChange call. The plugin logs may contain more details.`

// expandNames replaces the values that differ between runs.
func (r *Run) expandNames(t *testing.T, text string) string {
	t.Helper()
	if text != "" {
		text = strings.ReplaceAll(text, r.AwaitID(t), "$RUN")
	}
	for _, as := range [][2]string{
		// The CLI prints one of two errors when its provider has ended.
		{`Request cancelled\n.*ApplyResourceChange request was cancelled\.`, strings.TrimSpace(Killed)},
		{regexp.QuoteMeta(r.Namespace), "$$NAMESPACE"},
		{`(brane-\$RUN-\w+-\d+(-\d+)?)-[a-z0-9]{5}\b`, "$1-POD"},
		{`on node [\w.-]+`, "on node $$NODE"},
		// How far a step has come when a timeout expires depends on the machine.
		{`at that time:\n  step "slow": .*`, "at that time:\n  $$STATE"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "$$TIME"},
		{`\w+ on [\w.-]+, process \d+`, "$$HOLDER"},
		{regexp.QuoteMeta(cmp.Or(r.Proxy, r.Client.Host())), "$$CLUSTER"},
		{regexp.QuoteMeta(r.Server.URL), "$$SERVER"},
	} {
		text = regexp.MustCompile(as[0]).ReplaceAllString(text, as[1])
	}
	return strings.TrimSpace(text)
}

// CheckErrors checks the errors of an apply, with $NAMES for the values that differ between runs. Without errors, it must have succeeded.
func (r *Run) CheckErrors(t *testing.T, a *Apply, want string) {
	t.Helper()
	got := r.expandNames(t, a.Errors(t))
	if want = strings.TrimSpace(want); got != want {
		t.Errorf("the apply prints\n%s\n\nwant\n%s\n\n%s", got, want, &a.Log)
	}
}

// CheckFails applies and checks that the apply fails with these sentences.
func (r *Run) CheckFails(t *testing.T, args []string, sentences ...string) {
	t.Helper()
	cmd, out := r.CLI.Command(t.Context(), append([]string{"apply", "-auto-approve", "-no-color"}, args...)...)
	if err := cmd.Run(); err == nil {
		t.Fatalf("apply did not fail:\n%s", out)
	}
	CheckOutput(t, out, sentences...)
}

// CheckPlan plans and checks that the plan has changes and these sentences.
func (r *Run) CheckPlan(t *testing.T, sentences ...string) {
	t.Helper()
	cmd, out := r.CLI.Command(t.Context(), "plan", "-detailed-exitcode", "-no-color")
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 {
		t.Fatalf("the plan ended with %v:\n%s", err, out)
	}
	CheckOutput(t, out, sentences...)
}

// CheckOutput checks that the CLI has printed these sentences, wherever it has broken lines.
func CheckOutput(t *testing.T, out *bytes.Buffer, sentences ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "│", "")), " ")
	for _, sentence := range sentences {
		if !strings.Contains(text, sentence) {
			t.Errorf("the CLI does not print %q but\n%s", sentence, out)
		}
	}
}

// CheckEnd applies and checks that the apply succeeds, the output, the number of starts of each step, and that the next plan has no changes.
func (r *Run) CheckEnd(t *testing.T, ran map[string]int, args ...string) {
	t.Helper()
	r.CLI.Run(t, append([]string{"apply", "-auto-approve", "-no-color"}, args...)...)
	if got := strings.TrimSpace(r.CLI.Run(t, "output", "-raw", "both")); got != "first\nslow" {
		t.Errorf("the output is %q", got)
	}
	var want []string
	for _, step := range slices.Sorted(maps.Keys(ran)) {
		want = append(want, fmt.Sprintf("%s %d", step, ran[step]))
	}
	if got := r.CountStarts(t); got != strings.Join(want, ", ") {
		t.Errorf("the steps were started: %s\nwant: %s", got, strings.Join(want, ", "))
	}
	r.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 means that there are changes
}

// CheckNothingLeft destroys the run and checks that nothing of it remains.
func (r *Run) CheckNothingLeft(t *testing.T) {
	t.Helper()
	id := r.AwaitID(t)
	r.CLI.Run(t, "destroy", "-auto-approve", "-no-color")
	acctest.NoError(t, r.CheckNoRunObjects(t.Context()))
	acctest.NoError(t, acctest.CheckNoRedisKeys(t.Context(), r.Redis, id))
	if err := r.Redis.Do(t.Context(), "ACL", "GETUSER", files.UserName(id, 0)).Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("the run's Redis user still exists: %v", err)
	}
}
