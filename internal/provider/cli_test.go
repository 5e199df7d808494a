package provider_test

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
)

// cli is the real command line program with the real provider, installed from a mirror as a user installs a release.
type cli struct {
	program string
	dir     string // where the configuration is
	env     []string
}

// newCLI installs the provider and prepares an empty folder for a configuration.
func newCLI(t *testing.T) *cli {
	t.Helper()
	c := &cli{program: os.Getenv("TF_ACC_TERRAFORM_PATH"), dir: t.TempDir()}
	for _, name := range []string{"terraform", "tofu"} {
		if found, err := exec.LookPath(name); err == nil && c.program == "" {
			c.program = found
		}
	}
	if c.program == "" {
		t.Fatal("there is neither terraform nor tofu on the PATH, and TF_ACC_TERRAFORM_PATH is empty")
	}
	place := t.TempDir()
	binary, err := buildProvider()
	must(t, err)
	for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		folder := filepath.Join(place, "mirror", host, "braneframework", "brane", builtVersion, runtime.GOOS+"_"+runtime.GOARCH)
		must(t, os.MkdirAll(folder, 0o755))
		must(t, linkOrCopy(binary, filepath.Join(folder, "terraform-provider-brane_v"+builtVersion)))
	}
	settings := filepath.Join(place, "terraform.tfrc")
	must(t, os.WriteFile(settings, fmt.Appendf(nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.Join(place, "mirror")), 0o600))
	for _, variable := range os.Environ() {
		// Whatever the one who runs the tests has set for his own use of the CLI is not ours, but for the examples' variables.
		if !strings.HasPrefix(variable, "TF_") || strings.HasPrefix(variable, "TF_VAR_") {
			c.env = append(c.env, variable)
		}
	}
	c.env = append(c.env, "TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	return c
}

const required = `
terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}
`

// write puts a file into the configuration's folder.
func (c *cli) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
}

// command prepares a call; what it prints goes into the buffer.
func (c *cli) command(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.env, &out, &out
	return cmd, &out
}

// run calls the CLI, which has to succeed, and returns what it printed.
func (c *cli) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd, out := c.command(t.Context(), args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(c.program), strings.Join(args, " "), err, out)
	}
	return out.String()
}

// destroyAtEnd takes down what was applied, also after a failed test.
func (c *cli) destroyAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		cmd, out := c.command(context.Background(), "destroy", "-auto-approve", "-no-color")
		if err := cmd.Run(); err != nil {
			t.Errorf("destroy: %v\n%s", err, out)
		}
	})
}
