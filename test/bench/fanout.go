package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The numbers of indexes in the comparisons.
const (
	fanOutDone = 60
	fanOutMade = 100
)

// fanOut compares a fan-out step with as many plain Jobs. On a node that runs only their containers, a second container in each pod, which
// copies the agent and the files, makes the difference. By default there is none if the nodes mount image volumes, as those of the test
// cluster do.
func (l *lab) fanOut(ctx context.Context, r *report) error {
	made, _, err := l.many(ctx, fanOutMade, workflow.InjectAuto)
	if err != nil {
		return err
	}
	_, byDefault, err := l.many(ctx, fanOutDone, workflow.InjectAuto)
	if err != nil {
		return err
	}
	_, byInit, err := l.many(ctx, fanOutDone, workflow.InjectInitContainer)
	if err != nil {
		return err
	}
	plain, err := l.plainMany(ctx, fanOutDone, nil)
	if err != nil {
		return err
	}
	staged, err := l.plainMany(ctx, fanOutDone, []corev1.Container{{Name: "stage", Image: os.Getenv("BRANE_TOOLS_IMAGE"), Command: []string{"true"}}})
	if err != nil {
		return err
	}
	r.add("fan-out of %d: seconds until all pods are made", made.Seconds(), 1.5, fanOutMade)
	r.add("fan-out of %d done: × plain Jobs", byDefault.Seconds()/plain.Seconds(), 1.3, fanOutDone)
	r.add("fan-out of %d done by an init container: × plain Jobs with an init container that does nothing", byInit.Seconds()/staged.Seconds(), 1.3, fanOutDone)
	// No limit: an init container that does nothing takes 1.1 to 1.33 × plain Jobs by itself.
	r.add("fan-out of %d done by an init container: × plain Jobs", byInit.Seconds()/plain.Seconds(), 0, fanOutDone)
	return nil
}

// many runs one step with n indexes, with the agent injected in the given way. made is the time from the creation of its Job to its last pod,
// done the time to the end of the run.
func (l *lab) many(ctx context.Context, n int, injection workflow.AgentInjection) (made, done time.Duration, err error) {
	if err := l.settle(ctx); err != nil {
		return 0, 0, err
	}
	step := l.step("many", "date > /data/lines-$BRANE_INDEX")
	step.Completions = n
	run, err := l.newRun([]workflow.Step{step})
	if err != nil {
		return 0, 0, err
	}
	run.spec.AgentInjection = injection
	w := l.watch(ctx, workflow.RunLabel+"="+run.spec.ID, ending{pod: func(*corev1.Pod) bool { return true }})
	defer w.stop()
	l.reset()
	began, last := time.Now(), make(chan time.Time, 1)
	var group errgroup.Group
	group.Go(func() error {
		err := w.wait(ctx, n)
		last <- time.Now()
		return err
	})
	if err := l.execute(ctx, run); err != nil {
		return 0, 0, err
	}
	done = time.Since(began)
	if err := group.Wait(); err != nil {
		return 0, 0, fmt.Errorf("wait for %d pods of run %s: %w", n, run.spec.ID, err)
	}
	return (<-last).Sub(l.jobsMade()[0]), done, nil
}

// plainMany runs the same program in n Jobs concurrently, until the last container has ended.
func (l *lab) plainMany(ctx context.Context, n int, before []corev1.Container) (time.Duration, error) {
	if err := l.settle(ctx); err != nil {
		return 0, err
	}
	group := l.group()
	w := l.watch(ctx, plainLabel+"="+group, containerEnded)
	defer w.stop()
	began := time.Now()
	var makers errgroup.Group
	makers.SetLimit(parallelism)
	for i := range n {
		job := l.plainJob(group, fmt.Sprintf("%s-%d", group, i), "")
		job.Spec.Template.Spec.InitContainers = before
		makers.Go(func() error { return l.kube.Create(ctx, job) })
	}
	if err := makers.Wait(); err != nil {
		return 0, err
	}
	if err := w.wait(ctx, n); err != nil {
		return 0, fmt.Errorf("wait for %d plain Jobs: %w", n, err)
	}
	return time.Since(began), nil
}
