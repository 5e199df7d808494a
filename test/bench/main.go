// Command bench measures, against limits: package files and the agent, compared with Redis itself and cp on a separate redis-server; the
// run engine, compared with the same programs in plain Jobs; changes of a run of 100 steps; the cost of hundreds of brane_namespace: requests to the API
// server, time and memory of plan, apply and destroy, and start-up time and size of the provider; and how the cost of runs grows with their size, on nodes
// that are simulated. It runs a real CLI against the cluster that KUBECONFIG names, through a proxy that counts requests, and creates and
// deletes its own namespaces and simulated nodes there. `make bench` calls it for each part; it prints a table, writes it as JSON, and exits with 1 if a limit
// is exceeded. With -page it writes docs/performance.md from the JSON of all parts. Other programs for the same work are measured in the same rounds if they are on
// the PATH or named by BENCH_KUBERNETES_PROVIDER, BENCH_JUICEFS and BENCH_ARGO.
//
// Each figure is the median of at least five rounds, if five rounds do not take minutes. Figures of a machine have limits only relative to another one of the
// same round, because a disturbance slows both; counts, sizes and memory are the same on every machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags of the command line.
type options struct {
	cli      string
	provider string            // path of the provider's binary
	peers    map[string]string // paths of the programs to compare with, by their names
	first    int               // number of namespaces in the first apply
	more     int               // number of namespaces that the second apply adds
	part     string            // the part to measure
	rounds   int               // of each measurement
	huge     bool              // measure the largest fan-out as well
	output   string            // the directory of the reports
	page     string            // the directory for the page; empty to measure
	execute  string            // execute the described run, and print what it costs
}

func main() {
	var o options
	flag.StringVar(&o.cli, "cli", "terraform", "the CLI")
	flag.StringVar(&o.provider, "provider", ".bin/terraform-provider-brane", "the provider's binary")
	flag.IntVar(&o.first, "n", 200, "namespaces")
	flag.IntVar(&o.more, "more", 150, "namespaces that are added")
	flag.StringVar(&o.part, "only", "", "the part to measure: files, engine, incremental, namespaces or scale")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement that does not take too long")
	flag.BoolVar(&o.huge, "huge", false, "measure a fan-out of 10,000 as well")
	flag.StringVar(&o.output, "output", ".bin/bench", "the directory of the reports, one JSON file for each part")
	flag.StringVar(&o.page, "page", "", "write the page performance.md and its plots into this directory, from the reports, and measure nothing")
	flag.StringVar(&o.execute, "execute", "", "execute the described run, and print what it costs; the benchmark starts itself with this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	kept, err := true, error(nil)
	switch {
	case o.execute != "":
		err = executeHere(ctx, o.execute)
	case o.page != "":
		err = writePage(o.output, o.page)
	default:
		kept, err = measurePart(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !kept {
		os.Exit(1)
	}
}

// part is a group of measurements that one process takes.
type part struct {
	name        string
	title       string
	description string
	hasCluster  bool
	measure     func(context.Context, *report, options) error
}

// listParts returns all parts in the order of the page.
func listParts() []part {
	return []part{
		{"files", "Files", "Package files and the agent, compared with Redis itself and with `cp -r`, all in memory and without a cluster. " +
			"JuiceFS, if it was measured, has its metadata and blocks in one Redis, and no cache on disk.", false, measureFiles},
		{"engine", "Runs", "Runs on a real node, compared with plain Jobs of the same programs. They start when a client sees that the previous one has ended: " +
			"by the status of its container, which is the earliest, of its pod, or of the Job. " +
			"Argo Workflows, if it was measured, has its defaults, by which its controller looks at a workflow once in ten seconds.", true, measureEngine},
		{"incremental", "Changes of a run", "Changes of the last of 100 steps, after all of them have run.", true, measureIncremental},
		{"namespaces", "Namespaces", "Hundreds of `brane_namespace`, each with five other objects, through a proxy that counts requests.", true, measureNamespaces},
		{"scale", "Costs by size", "Runs on simulated nodes, so that the cost is that of the engine and not of containers, and infrastructures in one control plane. " +
			"A part of a run is an index, or a step of a chain.", true, measureScale},
	}
}

// measurePart measures a part, prints and saves its report, and reports whether all limits were kept.
func measurePart(ctx context.Context, o options) (kept bool, err error) {
	if o.provider, err = filepath.Abs(o.provider); err != nil {
		return false, err
	}
	if o.peers, err = findPeers(); err != nil {
		return false, err
	}
	for _, p := range listParts() {
		if p.name != o.part {
			continue
		}
		r := &report{rounds: o.rounds, Part: p.name, Began: time.Now().UTC().Truncate(time.Second)}
		if r.Machine, err = describeMachine(ctx, o, p.hasCluster); err != nil {
			return false, err
		}
		if err := p.measure(ctx, r, o); err != nil {
			return false, errors.Join(fmt.Errorf("%s: %w", p.name, err), r.printTable(os.Stdout))
		}
		r.Seconds = int(time.Since(r.Began).Seconds())
		return r.isKept(), errors.Join(r.printTable(os.Stdout), r.saveJSON(o.output))
	}
	return false, fmt.Errorf("there is no part %q; use -only files, engine, incremental, namespaces or scale", o.part)
}
