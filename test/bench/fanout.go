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

// measureFanOuts compares a fan-out step with as many plain Jobs. On a node that runs only their containers, a second container in each pod, which
// copies the agent and the files, makes the difference. By default there is none if the nodes mount image volumes, as those of the test
// cluster do.
func (l *lab) measureFanOuts(ctx context.Context, r *report) error {
	staging := []corev1.Container{{Name: "stage", Image: os.Getenv("BRANE_TOOLS_IMAGE"), Command: []string{"true"}}}
	s, err := r.repeatRounds(fmt.Sprintf("fan-outs of %d", fanOutDone), 10*time.Minute, func(s samples) error {
		for _, injection := range []workflow.AgentInjection{workflow.InjectAuto, workflow.InjectInitContainer} {
			_, done, err := l.many(ctx, fanOutDone, injection)
			if err != nil {
				return err
			}
			s.add(string(injection), done.Seconds())
		}
		plain, err := l.plainMany(ctx, fanOutDone, nil)
		if err != nil {
			return err
		}
		staged, err := l.plainMany(ctx, fanOutDone, staging)
		if err == nil {
			err = l.addArgoMany(ctx, s, fanOutDone)
		}
		s.add("plain", plain.Seconds())
		s.add("staged", staged.Seconds())
		return err
	})
	if err != nil {
		return err
	}
	byDefault, byInit := string(workflow.InjectAuto), string(workflow.InjectInitContainer)
	name := fmt.Sprintf("fan-out of %d", fanOutDone)
	r.add(name, "s", s[byDefault], withPeer(argoWorkflows, s[argoWorkflows]))
	r.add(name, "× plain Jobs", s.divideRounds(byDefault, "plain"), withUpperLimit(1.3))
	r.add(name+" by an init container", "× plain Jobs with an init container that does nothing", s.divideRounds(byInit, "staged"), withUpperLimit(1.5),
		withReason("in each pod the agent takes 0.1 s of processor time, 35 ms in the init container and 65 ms in that of the step, a third of it to start; "+
			"the programs of the plain Jobs take 10 ms"))
	r.add(name+" by an init container", "× plain Jobs", s.divideRounds(byInit, "plain"))
	r.add("plain Jobs with an init container that does nothing", "× plain Jobs", s.divideRounds("staged", "plain"))
	return l.measurePodsMade(ctx, r)
}

// measurePodsMade compares how fast the pods of a fan-out step are made with those of an Indexed Job.
func (l *lab) measurePodsMade(ctx context.Context, r *report) error {
	s, err := r.repeatRounds(fmt.Sprintf("pods of a fan-out of %d", fanOutMade), 5*time.Minute, func(s samples) error {
		made, _, err := l.many(ctx, fanOutMade, workflow.InjectAuto)
		if err != nil {
			return err
		}
		plain, err := l.plainIndexed(ctx, fanOutMade)
		s.add("made", made.Seconds())
		s.add("plain", plain.Seconds())
		return err
	})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("fan-out of %d, until all pods are made", fanOutMade)
	r.add(name, "s", s["made"])
	r.add(name, "× an Indexed Job", s.divideRounds("made", "plain"), withUpperLimit(1.3))
	return nil
}

// plainIndexed creates a Job with n indexes and returns the time until its last pod.
func (l *lab) plainIndexed(ctx context.Context, n int) (time.Duration, error) {
	if err := l.settle(ctx); err != nil {
		return 0, err
	}
	group := l.group()
	w := l.watch(ctx, plainLabel+"="+group, ending{pod: func(*corev1.Pod) bool { return true }})
	defer w.stop()
	began := time.Now()
	if err := l.kube.Create(ctx, l.indexedJob(group, n)); err != nil {
		return 0, err
	}
	if err := w.wait(ctx, n); err != nil {
		return 0, fmt.Errorf("wait for %d pods of an Indexed Job: %w", n, err)
	}
	return time.Since(began), nil
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
