package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// infrastructureSizes are the numbers of infrastructures in one control plane.
var infrastructureSizes = []int{10, 200, 1000}

const infrastructureConfiguration = `
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
  control_plane = { directory = "${path.module}/control-plane" }
}

variable "namespace" { type = string }
variable "infrastructures" { type = number }

resource "brane_namespace" "bench" {
  name = var.namespace
}

resource "brane_infrastructure" "bench" {
  count = var.infrastructures

  name               = "bench-${count.index}"
  namespace          = brane_namespace.bench.name
  registry           = "198.51.100.10:50050"
  callback_to        = "http://198.51.100.10:50052"
  verify_credentials = false # the proxy ignores them
}
`

// measureInfrastructures measures the provider with many infrastructures in one control plane.
func measureInfrastructures(ctx context.Context, r *report, o options) error {
	var applies, plans []scaled
	for _, size := range infrastructureSizes {
		apply, plan, err := applyInfrastructures(ctx, o, size)
		if err != nil {
			return err
		}
		applies, plans = append(applies, apply), append(plans, plan)
		for name, s := range map[string]scaled{"apply": apply, "plan": plan} {
			name := fmt.Sprintf("%s of %d infrastructures", name, size)
			r.add("%s: API requests each", float64(s.Requests)/float64(size), maxPerPart, name)
			r.add("%s: ms of processor time each, with the CLI", s.CPU.Seconds()*1000/float64(size), 0, name)
			r.add("%s: MiB of the provider", float64(s.Memory)/(1<<20), 0, name)
			r.add("%s: seconds", s.took.Seconds(), 0, name)
		}
	}
	for name, all := range map[string][]scaled{"apply": applies, "plan": plans} {
		r.add("%s of infrastructures: exponent of API requests", exponent(all, func(s scaled) float64 { return float64(s.Requests) }), maxExponent, name)
		r.add("%s of infrastructures: exponent of processor time", exponent(all, func(s scaled) float64 { return s.CPU.Seconds() }), 0, name)
		r.add("%s of infrastructures: exponent of the time", exponent(all, func(s scaled) float64 { return s.took.Seconds() }), 0, name)
	}
	return nil
}

// applyInfrastructures applies a number of infrastructures and plans them again.
func applyInfrastructures(ctx context.Context, o options, size int) (apply, plan scaled, err error) {
	p, err := newProxy(os.Getenv("KUBECONFIG"))
	if err != nil {
		return apply, plan, err
	}
	defer p.close()
	c, err := newCLI(o, p, infrastructureConfiguration)
	if err != nil {
		return apply, plan, err
	}
	defer os.RemoveAll(c.dir)
	if err := os.Mkdir(filepath.Join(c.dir, "control-plane"), 0o700); err != nil {
		return apply, plan, err
	}
	run := func(ctx context.Context, command string) (scaled, error) {
		spent, err := c.runCommand(ctx, command, fmt.Sprintf("-var=infrastructures=%d", size), fmt.Sprintf("-var=namespace=%sinfrastructures-%d", prefix, os.Getpid()))
		return scaled{engineCost: engineCost{Requests: spent.requests, CPU: spent.cpu, Memory: spent.memory, took: spent.took}, size: size}, err
	}
	defer func() { // also after Ctrl-C
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
		defer done()
		_, destroyErr := run(ctx, "destroy")
		err = errors.Join(err, destroyErr)
	}()
	if apply, err = run(ctx, "apply"); err != nil {
		return apply, plan, err
	}
	plan, err = run(ctx, "plan")
	return apply, plan, err
}
