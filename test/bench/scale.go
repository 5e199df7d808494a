package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

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
	maxNextJob      = 50.0 // % of a step from a commit to the next Job, median
	maxEngineMemory = engineMemory >> 20
)

// sizePatience is the time after which no other round of a size begins.
const sizePatience = 3 * time.Minute

// measureScale measures what runs cost by their size, on simulated nodes, and what the provider costs by the number of infrastructures.
func measureScale(ctx context.Context, r *report, o options) error {
	sizes := fanOutSizes
	if o.huge {
		sizes = append(sizes, hugeFanOut)
	}
	for _, part := range []func() error{
		func() error { return measureScaledFanOuts(ctx, r, sizes) },
		func() error { return measureScaledChains(ctx, r) },
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

// The names of the costs, with their units.
const (
	apiRequests   = "API requests"
	redisCommands = "Redis commands"
	processorTime = "ms of processor time"
	etcdSize      = "KiB in etcd"
	memory        = "MiB of memory"
	duration      = "seconds"
)

// addScaled adds the cost of a run.
func (s samples) addScaled(cost scaled) {
	s.add(apiRequests, float64(cost.Requests))
	s.add(redisCommands, float64(cost.Commands))
	s.add(processorTime, cost.CPU.Seconds()*1000)
	s.add(etcdSize, float64(cost.stored)/1024)
	s.add(memory, float64(cost.Memory)/(1<<20))
	s.add(duration, cost.took.Seconds())
}

// growth is the costs of several sizes.
type growth struct {
	*report
	plot  string // the name of the plot
	size  string // what the size is
	sizes []int
	costs []samples
}

// measure measures one size in several rounds.
func (g *growth) measure(size int, round func(samples) error) (samples, error) {
	s, err := g.repeatRounds(fmt.Sprintf("%s, %d %s", g.plot, size, g.size), sizePatience, round)
	g.sizes, g.costs = append(g.sizes, size), append(g.costs, s)
	return s, err
}

// addCurves adds the curves of costs. Those that are mostly the cluster's or the CLI's have no limit.
func (g *growth) addCurves(limited, others []string) {
	for _, cost := range limited {
		g.addCurve(g.toCurve(cost), withUpperLimit(maxExponent))
	}
	for _, cost := range others {
		g.addCurve(g.toCurve(cost))
	}
}

// toCurve returns the curve of a cost.
func (g *growth) toCurve(cost string) *curve {
	c := &curve{Plot: g.plot, Size: g.size, Name: cost}
	for i, size := range g.sizes {
		c.add(size, g.costs[i][cost])
	}
	return c
}

// measureScaledFanOuts measures one step with many indexes, next to a plain Indexed Job.
func measureScaledFanOuts(ctx context.Context, r *report, sizes []int) error {
	g := &growth{report: r, plot: "fan-outs", size: "indexes"}
	for _, size := range sizes {
		s, err := g.measure(size, func(s samples) error {
			one, err := measureScaled(ctx, usualNodes, scaleRun{Steps: 1, Indexes: size})
			if err != nil {
				return err
			}
			plain, err := measurePlain(ctx, usualNodes, size)
			s.addScaled(one)
			s.add("plain", plain.took.Seconds())
			s.add("plain etcd", float64(plain.stored)/1024)
			s.add("beyond plain etcd", float64(one.stored-plain.stored)/1024)
			return err
		})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("fan-out of %d", size)
		reportEngine(r, name, size, s)
		r.add(name, "× the time of an Indexed Job", s.divideRounds(duration, "plain"))
		r.add(name, "KiB in etcd a part, Indexed Job", s.scaleRounds("plain etcd", 1/float64(size)))
		r.add(name, "KiB in etcd a part beyond the Indexed Job", s.scaleRounds("beyond plain etcd", 1/float64(size)), withUpperLimit(maxEtcdPerPart))
	}
	g.addCurves([]string{apiRequests, redisCommands, processorTime, etcdSize}, []string{duration})
	return nil
}

// measureScaledChains measures steps that need each other.
func measureScaledChains(ctx context.Context, r *report) error {
	g := &growth{report: r, plot: "chains", size: "steps"}
	for _, size := range chainSizes {
		s, err := g.measure(size, func(s samples) error {
			one, err := measureScaled(ctx, usualNodes, scaleRun{Steps: size})
			if err != nil {
				return err
			}
			s.addScaled(one)
			gap := medianOf(one.gaps).Seconds()
			s.add("gap", gap*1000)
			s.add("share", 100*gap*float64(size)/one.took.Seconds())
			return nil
		})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("chain of %d", size)
		reportEngine(r, name, size, s)
		r.add(name, "KiB in etcd a part", s.scaleRounds(etcdSize, 1/float64(size)))
		r.add(name, "ms from a commit to the next Job, median", s["gap"])
		r.add(name, "ms from a commit to the next Job, % of a step", s["share"], withUpperLimit(maxNextJob))
	}
	g.addCurves([]string{apiRequests, redisCommands, processorTime, etcdSize}, []string{duration})
	return nil
}

// measureNodes measures the same run in clusters of different size.
func measureNodes(ctx context.Context, r *report) error {
	g := &growth{report: r, plot: "nodes", size: "nodes"}
	for _, nodes := range nodeSizes {
		s, err := g.measure(nodes, func(s samples) error {
			one, err := measureScaled(ctx, nodes, scaleRun{Steps: 1, Indexes: nodesIndexes})
			s.addScaled(one)
			return err
		})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("fan-out of %d on %d nodes", nodesIndexes, nodes)
		r.add(name, apiRequests, s[apiRequests], withUpperLimit(maxPerPart*nodesIndexes))
		r.add(name, processorTime, s[processorTime])
		r.add(name, memory, s[memory], withUpperLimit(maxEngineMemory))
		r.add(name, duration, s[duration])
	}
	g.addCurves([]string{apiRequests, processorTime}, nil)
	return nil
}

// reportEngine adds what each part of a run costs.
func reportEngine(r *report, name string, size int, s samples) {
	part := 1 / float64(size)
	r.add(name, apiRequests+" a part", s.scaleRounds(apiRequests, part), withUpperLimit(maxPerPart))
	r.add(name, redisCommands+" a part", s.scaleRounds(redisCommands, part), withUpperLimit(maxPerPart))
	var limits []option
	if size >= 100 { // the start of the process takes a tenth of a second
		limits = append(limits, withUpperLimit(maxCPUPerPart), withReason("absolute, because nothing in the same round has a processor time to compare it with"))
	}
	r.add(name, processorTime+" a part", s.scaleRounds(processorTime, part), limits...)
	r.add(name, memory, s[memory], withUpperLimit(maxEngineMemory))
	r.add(name, duration, s[duration])
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
	job := s.indexedJob(group, size)
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
