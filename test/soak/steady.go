package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// steadyProvider is a provider that serves the plans of all operations, so that what it does not release adds up.
type steadyProvider struct {
	process  *exec.Cmd
	reattach string // the value of TF_REATTACH_PROVIDERS
	first    usage  // after the first plans, which open what is kept
	last     usage
	plans    int
}

// usage is what a process uses.
type usage struct{ memory, files int }

// warmUp is the number of plans after which the usage is compared.
const warmUp = 5

// startSteadyProvider starts a provider as for a debugger.
func (s *soak) startSteadyProvider(ctx context.Context) (*steadyProvider, error) {
	p := &steadyProvider{process: exec.CommandContext(context.WithoutCancel(ctx), s.options.provider, "-debug")}
	log, err := os.Create(filepath.Join(s.options.directory, "log", "steady.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.process.Stderr = log
	p.process.Env = append(os.Environ(), "TMPDIR="+s.temporary())
	out, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, value, found := strings.Cut(lines.Text(), "TF_REATTACH_PROVIDERS="); found {
			p.reattach = strings.Trim(value, "'")
			if strings.Contains(filepath.Base(s.options.cli), "tofu") {
				p.reattach = strings.ReplaceAll(p.reattach, "registry.terraform.io", "registry.opentofu.org")
			}
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s -debug prints no TF_REATTACH_PROVIDERS", s.options.provider)
}

// measure records the usage after a plan.
func (p *steadyProvider) measure() {
	p.plans++
	p.last.memory, p.last.files = inspectProcess(p.process.Process.Pid)
	if p.plans == warmUp {
		p.first = p.last
	}
}

// check checks that the usage has not grown. Each plan configures the provider again, which retains about half a MiB that a provider of a
// single command releases with its process; twice that, and half of the memory as garbage, is allowed.
func (p *steadyProvider) check() error {
	if p.plans > warmUp && (p.last.files > p.first.files+8 || p.last.memory > p.first.memory*3/2+(32+p.plans)<<10) {
		return fmt.Errorf("the provider that keeps running uses more and more: %s", p)
	}
	return nil
}

// String describes the usage.
func (p *steadyProvider) String() string {
	return fmt.Sprintf("%d MiB and %d open files after %d plans, %d MiB and %d after %d",
		p.first.memory>>10, p.first.files, warmUp, p.last.memory>>10, p.last.files, p.plans)
}

// stop ends the provider.
func (p *steadyProvider) stop() {
	_ = p.process.Process.Signal(os.Interrupt) // it may have ended
	_ = p.process.Wait()
}
