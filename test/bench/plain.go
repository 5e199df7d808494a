package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// plainLabel distinguishes the Jobs of one comparison, and their pods, from others.
const plainLabel = "brane-bench"

// ending is how a client can see that a Job's program has ended. The endings are a second apart.
type ending struct {
	name string
	pod  func(*corev1.Pod) bool
	job  func(*batchv1.Job) bool
}

var (
	containerEnded = ending{name: "the container's end", pod: func(pod *corev1.Pod) bool {
		return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Terminated != nil
	}}
	podSucceeded = ending{name: "the pod's phase", pod: func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded }}
	jobComplete  = ending{name: "the Job's end", job: func(job *batchv1.Job) bool { return job.Status.CompletionTime != nil }}
)

// plainChain runs the program of the chain in consecutive Jobs, without passing files.
func (l *lab) plainChain(ctx context.Context, c chain, on ending) (time.Duration, error) {
	if err := l.settle(ctx); err != nil {
		return 0, err
	}
	group := l.group()
	w := l.watch(ctx, plainLabel+"="+group, on)
	defer w.stop()
	began := time.Now()
	for i := range c.length {
		name := fmt.Sprintf("%s-%d", group, i)
		if err := l.kube.Create(ctx, l.plainJob(group, name, c.program)); err != nil {
			return 0, err
		}
		if err := w.wait(ctx, 1); err != nil {
			return 0, fmt.Errorf("wait for Job %s: %w", name, err)
		}
	}
	return time.Since(began), nil
}

// plainJob returns a step's Job without the agent.
func (l *lab) plainJob(group, name, program string) *batchv1.Job {
	labels := map[string]string{plainLabel: group}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: name, Labels: labels},
		Spec: batchv1.JobSpec{BackoffLimit: new(int32(0)), Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false), Containers: []corev1.Container{{
				Name: "step", Image: os.Getenv("BRANE_TOOLS_IMAGE"), Command: []string{"sh", "-c", "date >> /tmp/lines; " + program},
			}}},
		}},
	}
}

// indexedJob returns an Indexed Job with n indexes, all of which may run concurrently.
func (l *lab) indexedJob(group string, n int) *batchv1.Job {
	job := l.plainJob(group, group, "")
	count := int32(n) //nolint:gosec // a size of a benchmark
	job.Spec.CompletionMode, job.Spec.Completions, job.Spec.Parallelism = new(batchv1.IndexedCompletion), &count, &count
	return job
}

// settle deletes the objects of the previous measurement and waits until the node has removed them, which takes longer than a client can
// see and would slow the next measurement.
func (l *lab) settle(ctx context.Context) error {
	var jobs batchv1.JobList
	if err := l.kube.List(ctx, &jobs, l.namespace, ""); err != nil {
		return err
	}
	for i := range jobs.Items {
		if err := l.kube.Delete(ctx, &jobs.Items[i]); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 5*time.Minute, true, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		err := l.kube.List(ctx, &pods, l.namespace, "")
		return len(pods.Items) == 0, err
	})
	if err != nil {
		return fmt.Errorf("wait until no pod is left in namespace %s: %w", l.namespace, err)
	}
	return nil
}

// group returns a new value of plainLabel.
func (l *lab) group() string {
	l.serial++
	return fmt.Sprintf("plain-%d", l.serial)
}

// heard reports each Job or pod once, when it has reached an ending.
type heard struct {
	names chan string
	stop  func() // stops the watch and waits for its end
}

func (l *lab) watch(ctx context.Context, labels string, on ending) *heard {
	w := &heard{names: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(ctx)
	seen := map[string]bool{} // the watch calls sequentially
	hear := func(name string, is bool) {
		if is && !seen[name] {
			seen[name] = true
			w.names <- name
		}
	}
	ignore := func(error) {} // a broken watch is opened again
	var follower sync.WaitGroup
	follower.Go(func() {
		if on.job != nil {
			_ = kube.Follow(ctx, l.kube, &batchv1.JobList{}, l.namespace, labels, kube.Follower[*batchv1.Job]{
				Changed: func(job *batchv1.Job) { hear(job.Name, on.job(job)) }, Deleted: func(*batchv1.Job) {}, Failed: ignore,
			})
			return
		}
		_ = kube.Follow(ctx, l.kube, &corev1.PodList{}, l.namespace, labels, kube.Follower[*corev1.Pod]{
			Changed: func(pod *corev1.Pod) { hear(pod.Name, on.pod(pod)) }, Deleted: func(*corev1.Pod) {}, Failed: ignore,
		})
	})
	w.stop = func() { cancel(); follower.Wait() }
	return w
}

// wait waits for n of them.
func (w *heard) wait(ctx context.Context, n int) error { return w.waitUpTo(ctx, n, 5*time.Minute) }

// waitUpTo waits for n of them for a time.
func (w *heard) waitUpTo(ctx context.Context, n int, timeout time.Duration) error {
	ctx, done := context.WithTimeout(ctx, timeout)
	defer done()
	for range n {
		select {
		case <-w.names:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
