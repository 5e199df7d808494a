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
	program, provider, dir string
	proxy                  *proxy
}

// cost is the cost of one run of the CLI.
type cost struct {
	requests int64
	jobs     int64 // that were created
	took     time.Duration
	cpu      time.Duration // processor time of the CLI and the provider
	server   time.Duration // total time of the API server for the requests
	memory   int64         // peak resident memory of the provider, in bytes
}

// prefix is the prefix of all namespaces that a benchmark creates.
const prefix = "brane-bench-"

const configuration = `
terraform {
  required_providers {
    brane = { source = "braneframework/brane" }
  }
}

provider "brane" {
  kubernetes = {
    host                   = %q
    cluster_ca_certificate = %q
  }
}

variable "namespaces" { type = number }

resource "brane_namespace" "bench" {
  count = var.namespaces

  name   = "` + prefix + `${count.index}"
  resource_quota  = { "count/jobs.batch" = "100", "requests.cpu" = "4" }
  limit_range = { default = { memory = "256Mi" }, default_request = { cpu = "100m" } }
}
`

// newCLI writes a configuration into a new directory. It has the address of the proxy and its CA as the first values.
func newCLI(o options, p *proxy, configuration string) (*cli, error) {
	dir, err := os.MkdirTemp("", "brane-bench-")
	if err != nil {
		return nil, err
	}
	c := &cli{program: o.cli, provider: o.provider, dir: dir, proxy: p}
	return c, c.write(configuration)
}

func (c *cli) write(configuration string) error {
	for name, text := range map[string]string{
		"main.tf": fmt.Sprintf(configuration, c.proxy.server.URL, c.proxy.ca()),
		"terraformrc": fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"registry.terraform.io/braneframework/brane\" = %[1]q\n"+
			"    \"registry.opentofu.org/braneframework/brane\" = %[1]q\n  }\n}\n", filepath.Dir(c.provider)),
	} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run runs the CLI once for this number of namespaces.
func (c *cli) run(ctx context.Context, command string, namespaces int, args ...string) (cost, error) {
	return c.runCommand(ctx, command, append(args, fmt.Sprintf("-var=namespaces=%d", namespaces))...)
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
	memory := watchMemory(c.provider)
	err := cmd.Wait()
	spent := cost{
		requests: c.proxy.requests.Load() - before, jobs: c.proxy.jobs.Load() - jobs, server: time.Duration(c.proxy.busy.Load() - busy), took: time.Since(began), memory: memory(),
		cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}
	if err != nil {
		text := said.Bytes()
		return spent, fmt.Errorf("%s %s: %w\n%s", c.program, command, err, text[max(0, len(text)-4000):])
	}
	return spent, nil
}

// turns is how often compared commands run.
const turns = 5

// plans returns the fastest plan and the fastest without a refresh, which is the CLI's own share. They run alternately: other programs can
// only make one slower, and a lasting disturbance, such as a namespace controller that still has work, slows both.
func (c *cli) plans(ctx context.Context, namespaces int) (plan, floor cost, err error) {
	for i := range turns {
		for best, args := range map[*cost][]string{&plan: nil, &floor: {"-refresh=false"}} {
			spent, err := c.run(ctx, "plan", namespaces, args...)
			if err != nil {
				return plan, floor, err
			}
			if i == 0 || spent.took < best.took {
				*best = spent
			}
		}
	}
	return plan, floor, nil
}
