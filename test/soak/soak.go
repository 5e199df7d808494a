package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// soak is one execution of the program.
type soak struct {
	options     options
	world       *world
	moments     *moments
	calls       *calls
	config      configuration
	steady      *steadyProvider
	baseline    []string       // the objects of the namespace when there is no run
	committed   map[string]int // by program: how often it had started when its step was committed
	generations map[string]int // of the commits in Redis, by their keys
	label       string         // of the logs of the current command
	commands    int            // of the current operation

	mu       sync.Mutex // guards what is printed and counted by disturbances
	happened map[string]int
	missed   int
	applies  int
	most     usage // of a provider of a single command
}

// newSoak prepares everything but the first apply.
func newSoak(ctx context.Context, o options) (*soak, error) {
	s := &soak{options: o, moments: &moments{}, committed: map[string]int{}, generations: map[string]int{}, happened: map[string]int{}}
	for _, directory := range []string{filepath.Join(o.directory, "log"), s.temporary()} {
		if err := os.MkdirAll(directory, 0o700); err != nil {
			return nil, err
		}
	}
	settings := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"registry.terraform.io/braneframework/brane\" = %[1]q\n"+
		"    \"registry.opentofu.org/braneframework/brane\" = %[1]q\n  }\n}\n", filepath.Dir(o.provider))
	if err := os.WriteFile(filepath.Join(o.directory, "terraformrc"), []byte(settings), 0o600); err != nil {
		return nil, err
	}
	var err error
	if s.world, err = newWorld(ctx, o.directory, s.moments); err != nil {
		return nil, err
	}
	if s.calls, err = newCalls(os.Getenv("BRANE_BRIDGE_IP"), s.moments); err != nil {
		return nil, err
	}
	s.config = configuration{workflows: map[string]*workflow{}, quota: 100}
	if s.steady, err = s.startSteadyProvider(ctx); err != nil {
		return nil, err
	}
	s.label = "000"
	if err := s.settle(ctx, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("the first apply: %w", err), s.end(context.WithoutCancel(ctx)))
	}
	s.baseline, err = s.listEverything(ctx)
	return s, err
}

// temporary is the directory for temporary files of the CLI and the provider.
func (s *soak) temporary() string { return filepath.Join(s.options.directory, "tmp") }

// print prints a line.
func (s *soak) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

// runCommand runs a command of the CLI, with disturbances, and checks what can be checked after each command.
func (s *soak) runCommand(ctx context.Context, random *rand.Rand, faults []planned, args ...string) (failed, wrong error) {
	s.commands++
	base := s.label
	s.label = fmt.Sprintf("%s-%02d-%s", base, s.commands, args[0])
	defer func() { s.label = base }()
	began := time.Now()
	c := s.newCommand(ctx, append(args, "-no-color", "-input=false")...)
	armed := map[moment]func(){}
	for _, fault := range faults {
		armed[fault.at] = s.prepare(ctx, c, fault, random)
	}
	s.moments.arm(armed)
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	failed, wrong = c.wait(s)
	missed := s.moments.disarm()
	s.world.repair()
	s.mu.Lock()
	s.missed += len(missed)
	s.most.memory, s.most.files = max(s.most.memory, c.memory), max(s.most.files, c.files)
	s.mu.Unlock()
	result := "succeeded"
	if failed != nil {
		result = fmt.Sprintf("%v: %s", failed, firstError(c.text()))
	}
	s.print("  %s: %s (%.0f s)", args[0], result, time.Since(began).Seconds())
	if wrong == nil {
		wrong = s.checkCommitted(ctx)
	}
	return failed, wrong
}

// firstError returns the beginning of the first error that a command has printed.
func firstError(text string) string {
	at := max(bytes.Index([]byte(text), []byte("Error: ")), 0)
	return text[at:min(len(text), at+300)]
}

// prepare returns the function of a disturbance. What it draws is drawn now, so that it does not depend on which of two moments comes first.
func (s *soak) prepare(ctx context.Context, c *command, fault planned, random *rand.Rand) func() {
	own := rand.New(rand.NewPCG(random.Uint64(), 0)) //nolint:gosec // it is not a secret
	return func() {
		s.print("  %s", fault)
		s.mu.Lock()
		for _, w := range s.config.workflows {
			w.hasStopped = w.hasStopped || fault.stops
			w.isDamaged = w.isDamaged || fault.harms
		}
		s.mu.Unlock()
		if err := fault.happen(ctx, s, c, own); err != nil {
			s.print("    it did not happen: %v", err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.happened[fault.name]++
	}
}

// kubectl runs kubectl as the administrator with an object as its input.
func (s *soak) kubectl(ctx context.Context, input any, args ...string) error {
	text, err := json.Marshal(input)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %q: %w: %s", args, err, out)
	}
	return nil
}

// printSummary prints what has happened.
func (s *soak) printSummary(operations int, took time.Duration) {
	fmt.Printf("\nseed %d: %d operations in %s, %d applies; disturbances:\n", s.options.seed, operations, took.Round(time.Second), s.applies)
	for _, name := range slices.Sorted(maps.Keys(s.happened)) {
		fmt.Printf("  %3d × %s\n", s.happened[name], name)
	}
	fmt.Printf("  %3d whose moment did not come\n", s.missed)
	fmt.Printf("providers of single commands: at most %d MiB and %d open files\n", s.most.memory>>10, s.most.files)
	fmt.Printf("the provider that kept running: %s\n", s.steady)
}
