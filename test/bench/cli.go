package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// cli is a directory with a configuration, and the CLI that runs in it.
type cli struct {
	program, dir string
	provider     provider
	proxy        *proxy
}

// provider is the provider of a configuration.
type provider struct {
	source string // its address without the host
	binary string
}

// ownProvider returns the provider of this repository.
func (o options) ownProvider() provider { return provider{"braneframework/brane", o.provider} }

// cost is the cost of one run of the CLI.
type cost struct {
	requests int64
	jobs     int64 // that were created
	took     time.Duration
	cpu      time.Duration // processor time of the CLI and the provider
	server   time.Duration // total time of the API server for the requests
	memory   int64         // peak resident memory of the provider, in bytes
}

// addCost adds the cost of one run of the CLI, in the units of the reports.
func (s samples) addCost(name string, c cost) {
	s.add(name+": API requests", float64(c.requests))
	s.add(name+": Jobs", float64(c.jobs))
	s.add(name+": s", c.took.Seconds())
	s.add(name+": s of processor time", c.cpu.Seconds())
	s.add(name+": MB", float64(c.memory)/1e6)
	s.add(name+": ms a request", c.server.Seconds()*1000/float64(c.requests))
}

// prefix is the prefix of all namespaces that a benchmark creates.
const prefix = "brane-bench-"

// newCLI writes a configuration into a new directory. It has the address of the proxy and its CA as the first values.
func newCLI(o options, of provider, p *proxy, configuration string) (*cli, error) {
	dir, err := os.MkdirTemp("", "brane-bench-")
	if err != nil {
		return nil, err
	}
	c := &cli{program: o.cli, provider: of, dir: dir, proxy: p}
	return c, c.write(configuration)
}

func (c *cli) write(configuration string) error {
	for name, text := range map[string]string{
		"main.tf": fmt.Sprintf(configuration, c.proxy.server.URL, c.proxy.ca()),
		"terraformrc": fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"registry.terraform.io/%[1]s\" = %[2]q\n"+
			"    \"registry.opentofu.org/%[1]s\" = %[2]q\n  }\n}\n", c.provider.source, filepath.Dir(c.provider.binary)),
	} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// runCommand runs the CLI once.
func (c *cli) runCommand(ctx context.Context, command string, args ...string) (cost, error) {
	all := append([]string{command, "-input=false", "-no-color"}, args...)
	if command != "plan" {
		all = append(all, "-auto-approve")
	}
	cmd := exec.CommandContext(ctx, c.program, all...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir = c.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return len(v) > 5 && v[:5] == "KUBE_" })
	cmd.Env = append(cmd.Env, "TF_CLI_CONFIG_FILE="+filepath.Join(c.dir, "terraformrc"), "CHECKPOINT_DISABLE=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said

	before, jobs, busy, began := c.proxy.requests.Load(), c.proxy.jobs.Load(), c.proxy.busy.Load(), time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	memory := watchMemory(c.provider.binary)
	err := cmd.Wait()
	spent := cost{
		requests: c.proxy.requests.Load() - before, jobs: c.proxy.jobs.Load() - jobs, server: time.Duration(c.proxy.busy.Load() - busy),
		took: time.Since(began), memory: memory(), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}
	if err != nil {
		text := said.Bytes()
		return spent, fmt.Errorf("%s %s: %w\n%s", c.program, command, err, text[max(0, len(text)-4000):])
	}
	return spent, nil
}
