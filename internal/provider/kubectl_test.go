package provider_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// Kubectl does with kubectl what the provider's account may not.
func (s Env) Kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "kubectl", args...) // some of it is to be undone when the test is over
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %q: %v\n%s", args, err, out)
	}
	return string(out)
}
