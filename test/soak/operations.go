package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	runs "github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// operation is what a user does.
type operation struct {
	name   string
	weight int
	run    func(ctx context.Context, s *soak, random *rand.Rand) error
}

var operations = []operation{
	{"apply with disturbances", 8, func(ctx context.Context, s *soak, random *rand.Rand) error {
		for range 1 + random.IntN(3) {
			s.change(random)
		}
		return s.applyDisturbed(ctx, random, "apply", "-auto-approve")
	}},
	{"apply", 3, func(ctx context.Context, s *soak, random *rand.Rand) error {
		s.change(random)
		return s.settle(ctx, 0)
	}},
	{"replace a run with disturbances", 1, func(ctx context.Context, s *soak, random *rand.Rand) error {
		names := slices.Sorted(maps.Keys(s.config.workflows))
		if len(names) == 0 {
			return nil
		}
		w := s.config.workflows[names[random.IntN(len(names))]]
		w.isDamaged, w.hasStopped = true, true // its completed steps run again
		return s.applyDisturbed(ctx, random, "apply", "-auto-approve", "-replace=brane_workflow_run."+w.name)
	}},
	{"plan with disturbances", 1, func(ctx context.Context, s *soak, random *rand.Rand) error {
		return s.applyDisturbed(ctx, random, "plan")
	}},
	{"destroy with disturbances", 1, func(ctx context.Context, s *soak, random *rand.Rand) error {
		failed, wrong := s.runCommand(ctx, random, s.printPlanned(planDisturbances(random, 1+random.IntN(2))), "destroy", "-auto-approve")
		if wrong != nil {
			return wrong
		}
		if failed != nil {
			if err := s.destroy(ctx); err != nil {
				return err
			}
		}
		s.config.workflows, s.committed = map[string]*workflow{}, map[string]int{}
		if err := s.checkNothingLeft(ctx); err != nil {
			return err
		}
		return s.settle(ctx, 0)
	}},
}

// runOperation runs the n-th operation.
func (s *soak) runOperation(ctx context.Context, n int) error {
	random := newRandom(s.options.seed, n)
	chosen := chooseWeighted(random, operations, func(o operation) int { return o.weight })
	s.label, s.commands = fmt.Sprintf("%03d", n), 0
	s.print("%s operation %d: %s", time.Now().Format(time.TimeOnly), n, chosen.name)
	return chosen.run(ctx, s, random)
}

// change changes the configuration at random.
func (s *soak) change(random *rand.Rand) {
	c := &s.config
	names := slices.Sorted(maps.Keys(c.workflows))
	switch kind := random.IntN(10); {
	case len(names) == 0, kind < 4 && len(names) < 3:
		name := "r0"
		for i := 0; slices.Contains(names, name); i++ {
			name = fmt.Sprintf("r%d", i)
		}
		s.addWorkflow(newWorkflow(random, name, random.IntN(1_000_000)))
	case kind < 6: // other steps
		name := names[random.IntN(len(names))]
		s.addWorkflow(newWorkflow(random, name, c.workflows[name].generation+1))
	case kind == 6:
		name := names[random.IntN(len(names))]
		s.print("  without %s", name)
		delete(c.workflows, name)
	case kind == 7:
		c.setGeneration++
		s.print("  with file set %d", c.setGeneration)
		for _, w := range c.workflows {
			if w.usesSet { // all steps run again
				w.generation++
				s.calls.expect(w)
				w.hasStopped, w.isDamaged = false, false
			}
		}
	case kind == 8:
		c.rotation++
		c.isLongLived = random.IntN(2) == 0
		s.print("  with another credential, long-lived: %t", c.isLongLived)
	default: // what runs nothing again
		c.quota++
		w := c.workflows[names[random.IntN(len(names))]]
		w.detaches, w.isPrewarmed, w.isDetached = !w.detaches, !w.isPrewarmed, !w.isDetached
		s.print("  with other attributes of %s", w.name)
	}
}

// addWorkflow adds or replaces a workflow.
func (s *soak) addWorkflow(w *workflow) {
	s.config.workflows[w.name] = w
	s.calls.expect(w)
	s.print("  with %s.%d: detached %t, prewarmed %t, on_interrupt detach %t, parallelism %d",
		w.name, w.generation, w.isDetached, w.isPrewarmed, w.detaches, w.parallelism)
	for _, each := range w.steps {
		s.print("    %s needs %v, completions %d, size %d, failures %d, retries %d, allow_failure %t",
			each.name, each.needs, each.completions, each.size, each.failures, each.retries, each.isAllowed)
	}
}

// printPlanned prints the disturbances before they happen.
func (s *soak) printPlanned(faults []planned) []planned {
	for _, fault := range faults {
		s.print("  plans: %s", fault)
	}
	return faults
}

// applyDisturbed runs a command with one to four disturbances, and repairs.
func (s *soak) applyDisturbed(ctx context.Context, random *rand.Rand, args ...string) error {
	if err := s.writeConfig(); err != nil {
		return err
	}
	if _, wrong := s.runCommand(ctx, random, s.printPlanned(planDisturbances(random, 1+random.IntN(4))), args...); wrong != nil {
		return wrong
	}
	return s.settle(ctx, 2)
}

// settle applies until a plan has no changes, and checks the result. Besides those that fail because programs fail, excused is the number of applies that may
// fail because of what has happened before.
func (s *soak) settle(ctx context.Context, excused int) error {
	if err := s.writeConfig(); err != nil {
		return err
	}
	for _, w := range s.config.workflows {
		excused += w.failuresToCome()
		if w.isDetached || w.detaches {
			excused++ // the apply that reads how it has ended
		}
	}
	for n := 0; ; n++ {
		s.applies++
		failed, wrong := s.runCommand(ctx, nil, nil, "apply", "-auto-approve")
		if wrong != nil {
			return wrong
		}
		if failed == nil {
			if err := s.awaitDetached(ctx); err != nil {
				return err
			}
			isDone, wrong := s.planSteadily(ctx)
			if wrong != nil {
				return wrong
			}
			if isDone {
				return s.checkResults(ctx)
			}
		}
		if n >= excused {
			return fmt.Errorf("after %d applies without a disturbance, there is still something to do (%w)", n+1, failed)
		}
	}
}

// planSteadily plans with the provider that keeps running, and reports whether there are no changes.
func (s *soak) planSteadily(ctx context.Context) (isDone bool, wrong error) {
	s.commands++
	base := s.label
	s.label = fmt.Sprintf("%s-%02d-plan", base, s.commands)
	defer func() { s.label = base }()
	c := s.newCommand(ctx, "plan", "-detailed-exitcode", "-no-color", "-input=false")
	c.process.Env = append(c.process.Env, "TF_REATTACH_PROVIDERS="+s.steady.reattach)
	if err := c.process.Start(); err != nil {
		return false, err
	}
	failed, wrong := c.wait(s)
	if wrong != nil {
		return false, wrong
	}
	s.steady.measure()
	var exit *exec.ExitError
	switch {
	case failed == nil:
		return true, nil
	case errors.As(failed, &exit) && exit.ExitCode() == 2:
		s.print("  the plan has changes: %s", changes(c.output.String()))
		return false, nil
	}
	return false, fmt.Errorf("plan: %w: %s", failed, firstError(c.text()))
}

// changes returns the lines of a plan that name what changes.
func changes(plan string) string {
	var all []string
	for line := range strings.Lines(plan) {
		if strings.HasPrefix(line, "  # ") {
			all = append(all, strings.TrimSpace(line[4:]))
		}
	}
	return strings.Join(all, "; ")
}

// awaitDetached waits for the end of all runs that an engine in the cluster executes. The record of another run may say that it runs after its end, if its
// credential was revoked meanwhile.
func (s *soak) awaitDetached(ctx context.Context) error {
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	for id := range records {
		ref := runs.Ref{ID: id, Namespace: s.world.namespace}
		found, err := record.Read(ctx, s.world.admin, ref)
		if apierrors.IsNotFound(err) || err == nil && found.Engine() == "" {
			continue
		}
		limited, done := context.WithTimeout(ctx, commandLimit)
		status, err := detached.Wait(limited, s.world.admin, ref, nil)
		done()
		if err != nil {
			return fmt.Errorf("wait for run %s: %w", id, err)
		}
		if status.Status != runs.RunSucceeded {
			s.print("  run %s has %s: %s", id, status.Status, status.Reason())
		}
	}
	return nil
}

// destroy destroys everything; no disturbance happens, so the second attempt must succeed.
func (s *soak) destroy(ctx context.Context) error {
	failed, wrong := s.runCommand(ctx, nil, nil, "destroy", "-auto-approve")
	if failed != nil && wrong == nil {
		failed, wrong = s.runCommand(ctx, nil, nil, "destroy", "-auto-approve")
	}
	if failed != nil {
		failed = fmt.Errorf("destroy: %w", failed)
	}
	return errors.Join(failed, wrong)
}
