package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

const namespaceConfiguration = `
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

# The namespaces come from count: a large computed for_each is quadratic in the CLI itself.
variable "namespaces" { type = number }

resource "brane_namespace" "bench" {
  count = var.namespaces

  name           = "` + prefix + `${count.index}"
  resource_quota = { "count/jobs.batch" = "100", "requests.cpu" = "4" }
  limit_range    = { default = { memory = "256Mi" }, default_request = { cpu = "100m" } }
}
`

// contender is a provider that manages namespaces with five other objects each.
type contender struct {
	*cli
	name string
}

// plans is how often a plan and one without a refresh, which is the CLI's own share, run alternately.
const plans = 5

// measureNamespaces measures the provider with many namespaces, and the hashicorp/kubernetes provider with the same objects, if there is one.
func measureNamespaces(ctx context.Context, r *report, o options) (err error) {
	if err := measureStart(ctx, r, o); err != nil {
		return err
	}
	proxy, err := newProxy(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	defer proxy.close()
	own, err := newCLI(o, o.ownProvider(), proxy, namespaceConfiguration)
	if err != nil {
		return err
	}
	defer os.RemoveAll(own.dir)
	contenders := []contender{{own, "brane"}}
	if o.peers[kubernetesProvider] != "" {
		other, err := newCLI(o, o.peerProvider(), proxy, peerNamespaceConfiguration)
		if err != nil {
			return err
		}
		defer os.RemoveAll(other.dir)
		contenders = append(contenders, contender{other, kubernetesProvider})
	}
	defer func() { // also after Ctrl-C
		err = errors.Join(err, deleteNamespaces(context.WithoutCancel(ctx), proxy, prefix))
	}()
	s, err := r.repeatRounds(fmt.Sprintf("%d namespaces", o.first+o.more), 5*time.Minute, func(s samples) error {
		for _, c := range contenders {
			if err := c.measureNamespaces(ctx, s, o); err != nil {
				return err
			}
		}
		return deleteNamespaces(ctx, proxy, loopPrefix)
	})
	if err != nil {
		return err
	}
	reportNamespaces(r, s, o)
	return nil
}

// measureNamespaces applies, plans, adds and destroys once.
func (c contender) measureNamespaces(ctx context.Context, s samples, o options) error {
	all := o.first + o.more
	if err := c.run(ctx, s, "apply", o.first); err != nil {
		return err
	}
	if err := c.plan(ctx, s, o.first); err != nil {
		return err
	}
	if c.provider == o.ownProvider() {
		if err := c.runBareLoop(ctx, s, o.more); err != nil {
			return err
		}
	}
	if err := c.run(ctx, s, "apply", all); err != nil {
		return err
	}
	if err := c.plan(ctx, s, all); err != nil {
		return err
	}
	return c.run(ctx, s, "destroy", all)
}

// run runs the CLI once for this number of namespaces and adds what that costs.
func (c contender) run(ctx context.Context, s samples, command string, namespaces int, args ...string) error {
	spent, err := c.runCommand(ctx, command, append(args, fmt.Sprintf("-var=namespaces=%d", namespaces))...)
	s.addCost(fmt.Sprintf("%s %s %d", c.name, strings.Join(append([]string{command}, args...), " "), namespaces), spent)
	return err
}

// plan plans this number of namespaces several times, with and without a refresh: a lasting disturbance, such as a namespace controller that still has work,
// slows both.
func (c contender) plan(ctx context.Context, s samples, namespaces int) error {
	for range plans {
		if err := errors.Join(c.run(ctx, s, "plan", namespaces), c.run(ctx, s, "plan", namespaces, "-refresh=false")); err != nil {
			return err
		}
	}
	return nil
}

// runBareLoop adds what it costs to create the objects of this number of namespaces without a provider.
func (c contender) runBareLoop(ctx context.Context, s samples, namespaces int) error {
	busy, before := c.proxy.busy.Load(), c.proxy.requests.Load()
	took, err := bareLoop(ctx, c.proxy, namespaces)
	s.add("loop: s", took.Seconds())
	s.add("loop: ms a request", float64(c.proxy.busy.Load()-busy)/1e6/float64(c.proxy.requests.Load()-before))
	return err
}

// reportNamespaces adds the measurements and the curves of namespaces.
func reportNamespaces(r *report, s samples, o options) {
	all := o.first + o.more
	// add adds a measurement of the provider, and of its peer, for a command.
	add := func(name, unit, command string, options ...option) {
		r.add(name, unit, s["brane "+command+": "+unit], append(options, withPeer(kubernetesProvider, s[kubernetesProvider+" "+command+": "+unit]))...)
	}
	apply := fmt.Sprintf("apply %d", o.first)
	add(fmt.Sprintf("apply of %d", o.first), "API requests", apply)
	add(fmt.Sprintf("apply of %d", o.first), "s", apply)
	for _, size := range []int{o.first, all} {
		name, plan := fmt.Sprintf("plan of %d", size), fmt.Sprintf("plan %d", size)
		add(name, "API requests", plan, withUpperLimit(25))
		add(name, "s", plan)
		add(name, "MB", plan, withUpperLimit(120))
		own, others := "brane "+plan, kubernetesProvider+" "+plan
		alone := func(of string) string { return strings.Replace(of, "plan", "plan -refresh=false", 1) + ": s" }
		r.add(name, "× the CLI's own time", s.divideRounds(own+": s", alone(own)), withUpperLimit(1.3),
			withPeer(kubernetesProvider, s.divideRounds(others+": s", alone(others))))
	}

	loop, more, apply := fmt.Sprintf("bare loop of %d", o.more), fmt.Sprintf("apply of %d more", o.more), fmt.Sprintf("apply %d", all)
	r.add(loop, "s", s["loop: s"])
	r.add(loop, "ms a request", s["loop: ms a request"])
	add(more, "API requests", apply, withUpperLimit(2200.0*float64(o.more)/150))
	add(more, "s", apply)
	add(more, "ms a request", apply)
	// The plan within the apply is mostly the CLI's own time.
	for i, seconds := range s["brane "+apply+": s"] {
		planned := s[fmt.Sprintf("brane plan %d: s", o.first)]
		s.add("without plan", seconds-median(planned[i*plans:(i+1)*plans]))
	}
	r.add(more+" without its plan", "× the bare loop", s.divideRounds("without plan", "loop: s"), withUpperLimit(3),
		withReason("each object is sent twice, first as a dry run"))

	destroy := fmt.Sprintf("destroy %d", all)
	each := func(of string) []float64 { return s.scaleRounds(of+" "+destroy+": API requests", 1/float64(all)) }
	r.add(fmt.Sprintf("destroy of %d", all), "API requests a namespace", each("brane"), withUpperLimit(10), withPeer(kubernetesProvider, each(kubernetesProvider)))
	add(fmt.Sprintf("destroy of %d", all), "s", destroy)

	for _, name := range []string{"brane", kubernetesProvider} {
		for _, unit := range []string{"API requests", "s", "MB"} {
			c := &curve{Plot: "plans", Size: "namespaces", Name: name + ", " + unit}
			for _, size := range []int{o.first, all} {
				if rounds := s[fmt.Sprintf("%s plan %d: %s", name, size, unit)]; len(rounds) > 0 {
					c.add(size, rounds)
				}
			}
			if len(c.Points) > 0 {
				r.addCurve(c)
			}
		}
	}
}

// deleteNamespaces deletes all namespaces with this prefix, and waits until they are gone, because the work of their controller disturbs what is measured next.
func deleteNamespaces(ctx context.Context, p *proxy, prefix string) error {
	return wait.PollUntilContextTimeout(ctx, time.Second, 10*time.Minute, true, func(ctx context.Context) (bool, error) {
		var all corev1.NamespaceList
		if err := p.admin.List(ctx, &all, "", ""); err != nil {
			return false, err
		}
		gone := true
		for _, ns := range all.Items {
			if !strings.HasPrefix(ns.Name, prefix) {
				continue
			}
			gone = false
			if ns.DeletionTimestamp != nil {
				continue
			}
			if err := p.admin.Delete(ctx, &ns); err != nil && !apierrors.IsNotFound(err) {
				return false, err
			}
		}
		return gone, nil
	})
}
