// Command bench measures, against limits: package files and the agent, compared with Redis itself and cp on a separate redis-server; the
// run engine, compared with the same programs in plain Jobs; changes of a run of 100 steps; the cost of hundreds of brane_namespace: requests to the API server, time
// and memory of plan, apply and destroy, and start-up time and size of the provider; and how the cost of runs grows with their size, on nodes
// that are simulated. It runs a real CLI against the cluster that KUBECONFIG names, through a proxy that counts requests, and creates and
// deletes its own namespaces and simulated nodes there. `make bench` calls it; it exits with 1 if a limit is exceeded.
//
// The namespaces come from `count`: a large computed for_each is quadratic in the CLI itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// options are the flags of the command line.
type options struct {
	cli      string
	provider string // path of the provider's binary
	first    int    // number of namespaces in the first apply
	more     int    // number of namespaces that the second apply adds
	only     string // the part to measure; all if empty
	huge     bool   // measure the largest fan-out as well
	execute  string // execute the described run, and print what it costs
}

func main() {
	var o options
	flag.StringVar(&o.cli, "cli", "terraform", "the CLI")
	flag.StringVar(&o.provider, "provider", ".bin/terraform-provider-brane", "the provider's binary")
	flag.IntVar(&o.first, "n", 200, "namespaces")
	flag.IntVar(&o.more, "more", 150, "namespaces that are added")
	flag.StringVar(&o.only, "only", "", "measure only this part: files, engine, incremental, namespaces or scale")
	flag.BoolVar(&o.huge, "huge", false, "measure a fan-out of 10,000 as well")
	flag.StringVar(&o.execute, "execute", "", "execute the described run, and print what it costs; the benchmark starts itself with this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	kept, err := true, error(nil)
	if o.execute != "" {
		err = executeHere(ctx, o.execute)
	} else {
		kept, err = bench(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !kept {
		os.Exit(1)
	}
}

// bench runs all parts and reports whether all limits were kept.
func bench(ctx context.Context, o options) (kept bool, err error) {
	if o.provider, err = filepath.Abs(o.provider); err != nil {
		return false, err
	}
	r := &report{}
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"files", func() error { return fileLayer(ctx, r) }},
		{"engine", func() error { return measureEngine(ctx, r) }},
		{"incremental", func() error { return measureIncremental(ctx, r, o) }},
		{"namespaces", func() error { return namespaces(ctx, r, o) }},
		{"scale", func() error { return measureScale(ctx, r, o) }},
	} {
		if o.only != "" && o.only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			return false, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return r.kept(), nil
}

// namespaces measures the provider with many namespaces.
func namespaces(ctx context.Context, r *report, o options) (err error) {
	if err := start(ctx, r, o.provider); err != nil {
		return err
	}
	proxy, err := newProxy(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	defer proxy.close()
	c, err := newCLI(o, proxy, configuration)
	if err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	defer func() { // also after Ctrl-C
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
		defer done()
		if leftErr := c.leaveNothing(ctx); err == nil {
			err = leftErr
		}
	}()
	return measure(ctx, r, c, o)
}

// measure applies, plans, adds and destroys.
func measure(ctx context.Context, r *report, c *cli, o options) error {
	first, err := c.run(ctx, "apply", o.first)
	if err != nil {
		return err
	}
	r.add("apply of %d: requests", float64(first.requests), 0, o.first)
	r.add("apply of %d: seconds", first.took.Seconds(), 0, o.first)

	plan, floor, err := c.plans(ctx, o.first)
	if err != nil {
		return err
	}
	r.add("plan of %d: requests", float64(plan.requests), 25, o.first)
	r.add("plan of %d: seconds", plan.took.Seconds(), 0, o.first)
	r.add("plan of %d: × the CLI's own time", plan.took.Seconds()/floor.took.Seconds(), 1.3, o.first)
	r.add("plan of %d: MB of the provider", float64(plan.memory)/1e6, 120, o.first)

	busy, before := c.proxy.busy.Load(), c.proxy.requests.Load()
	loop, err := bareLoop(ctx, c.proxy, o.more)
	if err != nil {
		return err
	}
	r.add("a bare loop of %d: seconds", loop.Seconds(), 0, o.more)
	r.add("a bare loop of %d: ms of the API server a request", float64(c.proxy.busy.Load()-busy)/1e6/float64(c.proxy.requests.Load()-before), 0, o.more)
	more, err := c.run(ctx, "apply", o.first+o.more)
	if err != nil {
		return err
	}
	r.add("apply of %d more: requests", float64(more.requests), 2200.0*float64(o.more)/150, o.more)
	r.add("apply of %d more: seconds", more.took.Seconds(), 0, o.more)
	r.add("apply of %d more: ms of the API server a request", float64(more.server.Milliseconds())/float64(more.requests), 0, o.more)
	// Each object is sent twice, first as a dry run. The plan within the apply was measured above, and is mostly the CLI's own time.
	r.add("apply of %d more without its plan: × the loop", (more.took-plan.took).Seconds()/loop.Seconds(), 3, o.more)

	all := o.first + o.more
	destroy, err := c.run(ctx, "destroy", all)
	if err != nil {
		return err
	}
	r.add("destroy of %d: requests a namespace", float64(destroy.requests)/float64(all), 10, all)
	r.add("destroy of %d: seconds", destroy.took.Seconds(), 0, all)
	return nil
}
