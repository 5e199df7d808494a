package acctest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// CLI is the real command line program with the real provider, installed from a mirror as a user installs a release.
type CLI struct {
	Program   string
	Directory string // where the configuration is
	Mirror    string // where it finds the built provider
	Env       []string
}

// NewCLI installs the provider and creates an empty directory for a configuration.
func NewCLI(t *testing.T) *CLI {
	t.Helper()
	testenv.RequireAcceptance(t)
	program := os.Getenv("TF_ACC_TERRAFORM_PATH")
	for _, name := range []string{"terraform", "tofu"} {
		if found, err := exec.LookPath(name); err == nil && program == "" {
			program = found
		}
	}
	if program == "" {
		t.Fatal("there is neither terraform nor tofu on the PATH, and TF_ACC_TERRAFORM_PATH is empty")
	}
	mirror := t.TempDir()
	binary, err := buildProvider()
	NoError(t, err)
	for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		folder := filepath.Join(mirror, host, "braneframework", "brane", builtVersion, runtime.GOOS+"_"+runtime.GOARCH)
		NoError(t, os.MkdirAll(folder, 0o755))
		NoError(t, linkOrCopy(binary, filepath.Join(folder, "terraform-provider-brane_v"+builtVersion)))
	}
	c := NewCLIWith(t, program, fmt.Sprintf("filesystem_mirror {\n    path = %q\n  }", mirror))
	c.Mirror = mirror
	return c
}

// NewCLIWith creates an empty directory for a configuration, for a program that installs providers as described by a block of provider_installation.
func NewCLIWith(t *testing.T, program, installation string) *CLI {
	t.Helper()
	c := &CLI{Program: program, Directory: t.TempDir()}
	settings := filepath.Join(t.TempDir(), "terraform.tfrc")
	NoError(t, os.WriteFile(settings, fmt.Appendf(nil, "provider_installation {\n  %s\n}\n", installation), 0o600))
	for _, variable := range os.Environ() {
		// The settings of the user's own CLI do not apply; the variables of the examples do.
		if !strings.HasPrefix(variable, "TF_") || strings.HasPrefix(variable, "TF_VAR_") {
			c.Env = append(c.Env, variable)
		}
	}
	c.Env = append(c.Env, "TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	return c
}

// RequiredProviders is the block that every configuration for a [CLI] begins with.
const RequiredProviders = `
terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}
`

// WriteFile writes a file into the directory of the configuration.
func (c *CLI) WriteFile(t *testing.T, name, text string) {
	t.Helper()
	NoError(t, os.WriteFile(filepath.Join(c.Directory, name), []byte(text), 0o600))
}

// Command returns a command of the CLI and the buffer that its output is written to.
func (c *CLI) Command(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.Directory, c.Env, &out, &out
	return cmd, &out
}

// Run runs the CLI, which must succeed, and returns its output.
func (c *CLI) Run(t *testing.T, args ...string) string {
	t.Helper()
	cmd, out := c.Command(t.Context(), args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(c.Program), strings.Join(args, " "), err, out)
	}
	return out.String()
}

// DestroyAtEnd destroys what was applied when the test ends, also if it failed.
func (c *CLI) DestroyAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		cmd, out := c.Command(context.Background(), "destroy", "-auto-approve", "-no-color")
		if err := cmd.Run(); err != nil {
			t.Errorf("destroy: %v\n%s", err, out)
		}
	})
}
