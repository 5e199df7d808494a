package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Delete removes every object of the run from the cluster, stops running pods, and waits until no pod is left. If the run belongs to another execution, nothing is
// deleted and the error is [ErrSuperseded]; an empty execution skips this check.
func Delete(ctx context.Context, c *kube.Client, namespace, id, execution string) error {
	run := &Run{Kube: c, ID: id, Namespace: namespace}
	if execution != "" {
		record := &corev1.ConfigMap{ObjectMeta: run.meta()}
		err := c.Get(ctx, record)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("read the execution of run %q, %s: %w", id, kube.Describe(record), err)
		}
		if owner := record.Data[executionKey]; owner != "" && owner != execution {
			return workflow.ErrSuperseded
		}
	}
	if err := run.deleteEngines(ctx); err != nil {
		return err
	}
	env := &corev1.Secret{ObjectMeta: run.meta()}
	env.Name = run.secretEnvName()
	// The record first, so that the process that executes the run notices that it is gone.
	for _, object := range []kube.Object{&corev1.ConfigMap{ObjectMeta: run.meta()}, &corev1.Secret{ObjectMeta: run.meta()}, env} {
		if err := c.Delete(ctx, object); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
		}
	}
	if err := run.deleteJobs(ctx, nil); err != nil {
		return err
	}
	return run.waitForPods(ctx, run.stepLabels(), anyPod)
}

// deleteJobs deletes the run's Jobs except those that keep selects, and their pods in the background.
func (r *Run) deleteJobs(ctx context.Context, keep func(*batchv1.Job) bool) error {
	var jobs batchv1.JobList
	if err := r.Kube.List(ctx, &jobs, r.Namespace, r.stepLabels()); err != nil {
		return fmt.Errorf("list the Jobs of run %q in namespace %q: %w", r.ID, r.Namespace, err)
	}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		if keep != nil && keep(job) {
			continue
		}
		if err := r.Kube.Delete(ctx, job); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", kube.Describe(job), err)
		}
	}
	return nil
}

// deleteEngines deletes the engines of a run before everything else, because a running engine would create what was just deleted.
func (r *Run) deleteEngines(ctx context.Context) error {
	labels := workflow.RunLabel + "=" + r.ID + "," + workflow.EngineLabel
	var jobs batchv1.JobList
	if err := r.Kube.List(ctx, &jobs, r.Namespace, labels); err != nil {
		return fmt.Errorf("list the engines of run %q in namespace %q: %w", r.ID, r.Namespace, err)
	}
	var problems []error
	for i := range jobs.Items {
		if err := r.Kube.Delete(ctx, &jobs.Items[i]); err != nil && !apierrors.IsNotFound(err) {
			problems = append(problems, fmt.Errorf("delete %s: %w", kube.Describe(&jobs.Items[i]), err))
		}
	}
	if len(jobs.Items) == 0 || len(problems) > 0 {
		return errors.Join(problems...)
	}
	orders := r.ordersObject()
	for _, object := range []kube.Object{orders, &corev1.Secret{ObjectMeta: orders.ObjectMeta}} {
		if err := r.Kube.Delete(ctx, object); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
		}
	}
	return r.waitForPods(ctx, labels, anyPod)
}

// Selections of pods for waitForPods.
func anyPod(*corev1.Pod) bool { return true }
func stillRuns(pod *corev1.Pod) bool {
	return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// waitForPods waits until none of these pods of the run is left, because a pod that still runs could write to Redis.
func (r *Run) waitForPods(ctx context.Context, labels string, these func(*corev1.Pod) bool) error {
	left := 0
	err := wait.PollUntilContextCancel(ctx, 500*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		if err := r.Kube.List(ctx, &pods, r.Namespace, labels); err != nil {
			return false, fmt.Errorf("list the pods of run %q in namespace %q: %w", r.ID, r.Namespace, err)
		}
		left = 0
		for i := range pods.Items {
			if these(&pods.Items[i]) {
				left++
			}
		}
		return left == 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%d pods of run %q are still there in namespace %q: %w", left, r.ID, r.Namespace, context.Cause(ctx))
	}
	return err
}
