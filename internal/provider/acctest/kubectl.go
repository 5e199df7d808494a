package acctest

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// Kubectl runs kubectl with the credentials of the administrator and returns its output.
func (s Env) Kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "kubectl", args...) // cleanup calls it after the test has ended
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %q: %v\n%s", args, err, out)
	}
	return string(out)
}
