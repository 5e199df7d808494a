package provider_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// cli is the real command line program with the real provider, installed from a mirror as a user installs a release.
type cli struct {
	program string
	dir     string // where the configuration is
	env     []string
}

const mirrored = "0.0.1"

// built is where the provider is built, once for all tests.
var built string

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "brane-provider-*"); err != nil {
		panic(err)
	}
	undo := func() error { return nil }
	if os.Getenv("TF_ACC") != "" {
		if undo, err = actWithOwnRights(built); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if err := undo(); err != nil {
		panic(err)
	}
	if err := os.RemoveAll(built); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// builtProvider is the program that users get: not the test's own process, and without the race detector's weight.
var builtProvider = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(built, "provider")
	build := exec.Command("go", "build", "-o", binary, "-ldflags", "-X main.version="+mirrored, "github.com/braneframework/terraform-provider-brane")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the provider: %w\n%s", err, out)
	}
	return binary, nil
})

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
	binary, err := builtProvider()
	must(t, err)
	for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		folder := filepath.Join(place, "mirror", host, "braneframework", "brane", mirrored, runtime.GOOS+"_"+runtime.GOARCH)
		must(t, os.MkdirAll(folder, 0o755))
		must(t, os.Link(binary, filepath.Join(folder, "terraform-provider-brane_v"+mirrored)))
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

// providerOf is the pid of the provider that a running CLI has started, 0 where there is none.
func providerOf(parent int) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	children := map[int][]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue // has ended meanwhile
		}
		// pid (name) state ppid …; the name may hold anything, so count from its end.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		ppid, err := strconv.Atoi(fields[1])
		if err != nil {
			return 0, err
		}
		children[ppid] = append(children[ppid], pid)
	}
	for family := []int{parent}; len(family) > 0; family = slices.Concat(family[1:], children[family[0]]) {
		if exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(family[0]), "exe")); err == nil && strings.HasPrefix(filepath.Base(exe), "terraform-provider-brane") {
			return family[0], nil
		}
	}
	return 0, nil
}
