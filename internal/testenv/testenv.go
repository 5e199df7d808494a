// Package testenv decides whether the environment allows a test to run. Without TF_ACC a test that needs more than Go is skipped, so that `go test ./...` passes
// everywhere. With TF_ACC, which `make test` sets, nothing is skipped for a missing program or cluster: such a test fails.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/version"
)

// IsAcceptance reports whether acceptance tests run.
func IsAcceptance() bool { return os.Getenv("TF_ACC") != "" }

// RequireAcceptance skips a test that needs a cluster unless acceptance tests run.
func RequireAcceptance(t testing.TB) {
	t.Helper()
	if !IsAcceptance() {
		t.Skip("acceptance tests run if TF_ACC is set; `make test` sets it and starts a cluster")
	}
}

// RequireNewestCLI skips a test of queries and actions unless a CLI is a Terraform that has both, since version 1.14; OpenTofu has neither. `make test-cli` runs
// such tests with several CLIs.
func RequireNewestCLI(t testing.TB, program, found string) {
	t.Helper()
	const since = "1.14"
	name := filepath.Base(program)
	if strings.HasPrefix(name, "tofu") || version.MustParseGeneric(found).LessThan(version.MustParseGeneric(since)) {
		t.Skipf("this test needs Terraform %s, and the CLI is %s %s", since, name, found)
	}
}

// RequireProgram skips a test whose program is not on the PATH; if acceptance tests run, the test fails. hint describes how to install the program.
func RequireProgram(t testing.TB, name, hint string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		skipOrFail(t, "this test needs "+name+" on the PATH: "+hint)
	}
}

// RequireRoot skips a test that needs the permissions of root; if acceptance tests run, the test fails.
func RequireRoot(t testing.TB, purpose string) {
	t.Helper()
	if os.Getuid() != 0 {
		skipOrFail(t, "this test needs root: "+purpose)
	}
}

func skipOrFail(t testing.TB, reason string) {
	t.Helper()
	if IsAcceptance() {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
