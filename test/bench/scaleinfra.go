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
	applies := &growth{report: r, plot: "applies of infrastructures", size: "infrastructures"}
	plans := &growth{report: r, plot: "plans of infrastructures", size: applies.size}
	for _, size := range infrastructureSizes {
		planned := samples{}
		applied, err := applies.measure(size, func(s samples) error {
			apply, plan, err := applyInfrastructures(ctx, o, size)
			s.addScaled(apply)
			planned.addScaled(plan)
			return err
		})
		if err != nil {
			return err
		}
		plans.sizes, plans.costs = append(plans.sizes, size), append(plans.costs, planned)
		for i, s := range []samples{applied, planned} {
			name := fmt.Sprintf("%s of %d infrastructures", []string{"apply", "plan"}[i], size)
			r.add(name, apiRequests+" each", s.scaleRounds(apiRequests, 1/float64(size)), withUpperLimit(maxPerPart))
			r.add(name, processorTime+" each, with the CLI", s.scaleRounds(processorTime, 1/float64(size)))
			r.add(name, memory+" of the provider", s[memory])
			r.add(name, duration, s[duration])
		}
	}
	for _, g := range []*growth{applies, plans} {
		g.addCurves([]string{apiRequests}, []string{processorTime, duration})
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
	c, err := newCLI(o, o.ownProvider(), p, infrastructureConfiguration)
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
