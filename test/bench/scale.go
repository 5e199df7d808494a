package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// The sizes of the runs.
var (
	fanOutSizes = []int{100, 1000}
	hugeFanOut  = 10_000 // with -huge
	chainSizes  = []int{10, 100, 1000}
	nodeSizes   = []int{1, 100, 5000}
)

const (
	usualNodes   = 100 // of the runs that are compared by their size
	nodesIndexes = 100 // of the runs that are compared by the number of nodes
)

// Limits for the engine, by part of a run: an index, or a step of a chain.
const (
	maxPerPart      = 12.0 // API requests, and Redis commands
	maxExponent     = 1.1
	maxCPUPerPart   = 5.0  // ms
	maxEtcdPerPart  = 12.0 // KiB beyond a plain Job
	maxNextJob      = 50.0 // ms from a commit to the next Job, median
	maxEngineMemory = engineMemory >> 20
)

// measureScale measures what runs cost by their size, on simulated nodes, and what the provider costs by the number of infrastructures.
func measureScale(ctx context.Context, r *report, o options) error {
	sizes := fanOutSizes
	if o.huge {
		sizes = append(sizes, hugeFanOut)
	}
	for _, part := range []func() error{
		func() error { return measureFanOuts(ctx, r, sizes) },
		func() error { return measureChains(ctx, r) },
		func() error { return measureNodes(ctx, r) },
		func() error { return measureInfrastructures(ctx, r, o) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// scaled is what a run has cost the engine and the cluster.
type scaled struct {
	engineCost
	size   int
	stored int64           // bytes of its objects in etcd, at its end
	gaps   []time.Duration // from a commit to the creation of the next Job
}

// measureFanOuts measures one step with many indexes, next to a plain Indexed Job.
func measureFanOuts(ctx context.Context, r *report, sizes []int) error {
	var all []scaled
	for _, size := range sizes {
		one, err := measureScaled(ctx, usualNodes, scaleRun{Steps: 1, Indexes: size})
		if err != nil {
			return err
		}
		plain, err := measurePlain(ctx, usualNodes, size)
		if err != nil {
			return err
		}
		all = append(all, one)
		name := fmt.Sprintf("fan-out of %d", size)
		reportEngine(r, name, one)
		r.add("%s: × the time of a plain Job", one.took.Seconds()/plain.took.Seconds(), 0, name)
		r.add("%s: KiB in etcd a part, plain Job", float64(plain.stored)/1024/float64(size), 0, name)
		r.add("%s: KiB in etcd a part beyond the plain Job", float64(one.stored-plain.stored)/1024/float64(size), maxEtcdPerPart, name)
	}
	reportExponents(r, "fan-outs", all)
	return nil
}

// measureChains measures steps that need each other.
func measureChains(ctx context.Context, r *report) error {
	var all []scaled
	for _, size := range chainSizes {
		one, err := measureScaled(ctx, usualNodes, scaleRun{Steps: size})
		if err != nil {
			return err
		}
		all = append(all, one)
		name := fmt.Sprintf("chain of %d", size)
		reportEngine(r, name, one)
		r.add("%s: KiB in etcd a step", float64(one.stored)/1024/float64(size), 0, name)
		r.add("%s: ms from a commit to the next Job, median", median(one.gaps).Seconds()*1000, maxNextJob, name)
	}
	reportExponents(r, "chains", all)
	return nil
}

// measureNodes measures the same run in clusters of different size.
func measureNodes(ctx context.Context, r *report) error {
	var all []scaled
	for _, nodes := range nodeSizes {
		one, err := measureScaled(ctx, nodes, scaleRun{Steps: 1, Indexes: nodesIndexes})
		if err != nil {
			return err
		}
		one.size = nodes
		all = append(all, one)
		name := fmt.Sprintf("fan-out of %d on %d nodes", nodesIndexes, nodes)
		r.add("%s: API requests", float64(one.Requests), maxPerPart*nodesIndexes, name)
		r.add("%s: s of processor time", one.CPU.Seconds(), 0, name)
		r.add("%s: MiB of the engine", float64(one.Memory)/(1<<20), maxEngineMemory, name)
		r.add("%s: seconds", one.took.Seconds(), 0, name)
	}
	r.add("nodes: exponent of API requests", exponent(all, func(s scaled) float64 { return float64(s.Requests) }), maxExponent)
	r.add("nodes: exponent of processor time", exponent(all, func(s scaled) float64 { return s.CPU.Seconds() }), maxExponent)
	return nil
}

func reportEngine(r *report, name string, s scaled) {
	parts := float64(s.size)
	r.add("%s: API requests a part", float64(s.Requests)/parts, maxPerPart, name)
	r.add("%s: Redis commands a part", float64(s.Commands)/parts, maxPerPart, name)
	limit := maxCPUPerPart
	if s.size < 100 {
		limit = 0 // the start of the process takes a tenth of a second
	}
	r.add("%s: ms of processor time a part", s.CPU.Seconds()*1000/parts, limit, name)
	r.add("%s: MiB of the engine", float64(s.Memory)/(1<<20), maxEngineMemory, name)
	r.add("%s: seconds", s.took.Seconds(), 0, name)
}

func reportExponents(r *report, name string, all []scaled) {
	r.add("%s: exponent of API requests", exponent(all, func(s scaled) float64 { return float64(s.Requests) }), maxExponent, name)
	r.add("%s: exponent of Redis commands", exponent(all, func(s scaled) float64 { return float64(s.Commands) }), maxExponent, name)
	r.add("%s: exponent of processor time", exponent(all, func(s scaled) float64 { return s.CPU.Seconds() }), maxExponent, name)
	r.add("%s: exponent of bytes in etcd", exponent(all, func(s scaled) float64 { return float64(s.stored) }), maxExponent, name)
	r.add("%s: exponent of the time", exponent(all, func(s scaled) float64 { return s.took.Seconds() }), 0, name)
}

// exponent fits figure = a × size^exponent to the measured figures, and returns the exponent of the two largest sizes if that is larger: what a run costs
// whatever its size hides how it grows.
func exponent(all []scaled, figure func(scaled) float64) float64 {
	var n, x, y, xx, xy float64
	for _, s := range all {
		size, value := math.Log(float64(s.size)), math.Log(figure(s))
		n, x, y, xx, xy = n+1, x+size, y+value, xx+size*size, xy+size*value
	}
	fitted := (n*xy - x*y) / (n*xx - x*x)
	last, before := all[len(all)-1], all[len(all)-2]
	return max(fitted, math.Log(figure(last)/figure(before))/math.Log(float64(last.size)/float64(before.size)))
}

// simulation is a namespace with simulated nodes.
type simulation struct {
	*lab
	nodes *simulatedNodes
	end   func() error
}

// newSimulation creates a namespace and nodes. end deletes both.
func newSimulation(ctx context.Context, nodes int) (*simulation, error) {
	l, done, err := newLab(ctx)
	if err != nil {
		return nil, err
	}
	config, err := kube.Connection{ConfigPath: os.Getenv("KUBECONFIG")}.Config()
	if err != nil {
		return nil, errors.Join(err, done())
	}
	simulated, err := createNodes(ctx, config, l.kube, nodes)
	end := func() error {
		if simulated == nil {
			return done()
		}
		return errors.Join(simulated.deletePods(ctx, l.namespace), simulated.delete(ctx), done())
	}
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return &simulation{l, simulated, end}, nil
}

// measureScaled executes a run in a separate process.
func measureScaled(ctx context.Context, nodes int, run scaleRun) (result scaled, err error) {
	s, err := newSimulation(ctx, nodes)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	run.Namespace, run.ID = s.namespace, s.newID()
	agents, err := newAgents(s.lab, run)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, agents.close(ctx)) }()
	stop := s.nodes.runPods(ctx, s.namespace, agents.runStep)
	cost, err := run.executeApart(ctx)
	if err = errors.Join(err, stop()); err != nil {
		return result, err
	}
	result = scaled{engineCost: cost, size: run.Steps * max(run.Indexes, 1)}
	if result.stored, err = s.nodes.storedBytes(ctx, s.namespace); err != nil {
		return result, err
	}
	for i, created := range cost.Created[1:] {
		result.gaps = append(result.gaps, created.Sub(agents.commits[i]))
	}
	return result, nil
}

// measurePlain runs an Indexed Job of the same size without the engine.
func measurePlain(ctx context.Context, nodes, size int) (result scaled, err error) {
	s, err := newSimulation(ctx, nodes)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	group := s.group()
	job := s.plainJob(group, group, "")
	job.Spec.CompletionMode, job.Spec.Completions, job.Spec.Parallelism = new(batchv1.IndexedCompletion), new(int32(size)), new(int32(size)) //nolint:gosec // a size of this file
	at := placement()
	pod := &job.Spec.Template.Spec
	pod.SchedulerName, pod.NodeSelector, pod.Tolerations = at.SchedulerName, at.NodeSelector, at.Tolerations
	stop := s.nodes.runPods(ctx, s.namespace, func(context.Context, *corev1.Pod) error { return nil })
	w := s.watch(ctx, plainLabel+"="+group, jobComplete)
	defer w.stop()
	began := time.Now()
	if err := s.kube.Create(ctx, job); err != nil {
		return result, errors.Join(err, stop())
	}
	err = w.waitUpTo(ctx, 1, time.Hour)
	result = scaled{engineCost: engineCost{took: time.Since(began)}, size: size}
	if err = errors.Join(err, stop()); err != nil {
		return result, err
	}
	result.stored, err = s.nodes.storedBytes(ctx, s.namespace)
	return result, err
}
