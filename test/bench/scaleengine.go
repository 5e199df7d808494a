package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// engineMemory is the memory limit of an engine's container, in bytes.
const engineMemory = 256 << 20

// scaleRun describes a run for the process that executes it.
type scaleRun struct {
	Namespace, ID string
	Steps         int // in a chain
	Indexes       int // of each step; 0 means a single pod
}

// engineCost is what a run has cost the process that executed it.
type engineCost struct {
	Requests int64       // to the API server
	Commands int64       // to Redis
	Created  []time.Time // when its Jobs were created
	CPU      time.Duration
	Memory   int64 // peak resident memory, in bytes
	took     time.Duration
}

// graphSteps returns the steps of a run.
func (s scaleRun) graphSteps() (steps []workflow.Step) {
	for i := range s.Steps {
		step := workflow.Step{Name: fmt.Sprintf("step-%04d", i), Image: tools(), Command: []string{"true"}, Completions: s.Indexes, Parallel: int32(s.Indexes), Placement: placement()} //nolint:gosec // a size of scale.go
		for index := range s.Indexes {
			step.Items = append(step.Items, fmt.Sprint("item-", index))
		}
		if i > 0 {
			step.Needs = []string{steps[i-1].Name}
		}
		steps = append(steps, step)
	}
	return steps
}

// executeApart executes a run in a separate process, with the memory limit of an engine, so that the cost is that of the engine alone.
func (s scaleRun) executeApart(ctx context.Context) (cost engineCost, err error) {
	description, err := json.Marshal(s)
	if err != nil {
		return cost, err
	}
	program, err := os.Executable()
	if err != nil {
		return cost, err
	}
	var said, wrong bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "-execute", string(description))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), "GOMEMLIMIT="+strconv.Itoa(engineMemory/10*9)) // as jobspec sets it
	cmd.Stdout, cmd.Stderr = &said, &wrong
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return cost, fmt.Errorf("execute run %s: %w: %s", s.ID, err, wrong.String())
	}
	if err := json.Unmarshal(said.Bytes(), &cost); err != nil {
		return cost, err
	}
	cost.took = time.Since(began)
	cost.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return cost, nil
}

// executeHere executes the described run in this process and prints its cost.
func executeHere(ctx context.Context, description string) error {
	var s scaleRun
	if err := json.Unmarshal([]byte(description), &s); err != nil {
		return err
	}
	l, err := connectLab(s.Namespace)
	if err != nil {
		return err
	}
	defer l.redis.Close() // nothing is lost
	commands := &commandCounter{}
	l.redis.AddHook(commands)
	run, err := l.describeRun(s.ID, s.graphSteps())
	if err != nil {
		return err
	}
	if err := l.executeRun(ctx, run); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(engineCost{
		Requests: l.count(), Commands: commands.all.Load(), Created: l.jobsMade(), Memory: peakMemory("/proc/self"),
	})
}

// commandCounter counts Redis commands.
type commandCounter struct{ all atomic.Int64 }

func (c *commandCounter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *commandCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.all.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commandCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.all.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}
