package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// Delete removes every object of a run from the cluster, stops running pods, and waits until no pod is left. If the run belongs to another
// execution, nothing is deleted and the error is [workflow.ErrSuperseded]; an empty execution skips this check. Each request is repeated while
// the API server is away.
func Delete(ctx context.Context, client *kube.Client, ref workflow.Ref, execution string) error {
	if err := client.Retry(ctx, func() error { return checkExecution(ctx, client, ref, execution) }); err != nil {
		return err
	}
	if err := DeleteEngines(ctx, client, ref); err != nil {
		return err
	}
	// The record first, so that the process that executes the run notices that it is gone. Kubernetes deletes the Secrets, which it owns.
	if err := client.Retry(ctx, func() error { return record.Delete(ctx, client, ref) }); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s: %w", record.Describe(ref), err)
	}
	if err := client.Retry(ctx, func() error { return deleteJobs(ctx, client, ref, keepNone) }); err != nil {
		return err
	}
	return waitForPods(ctx, client, ref, ref.StepsSelector(), isAnyPod)
}

// Stop deletes the engines and the Jobs of a run and waits until no pod is left. The run can be resumed. If it belongs to another execution,
// nothing is deleted and the error is [workflow.ErrSuperseded].
func Stop(ctx context.Context, client *kube.Client, ref workflow.Ref, execution string) error {
	if err := client.Retry(ctx, func() error { return checkExecution(ctx, client, ref, execution) }); err != nil {
		return err
	}
	if err := DeleteEngines(ctx, client, ref); err != nil {
		return err
	}
	if err := client.Retry(ctx, func() error { return deleteJobs(ctx, client, ref, isJobOver) }); err != nil {
		return err
	}
	return waitForPods(ctx, client, ref, ref.StepsSelector(), isPodRunning)
}

// checkExecution checks that a run does not belong to another execution. An empty execution, and a run without a record, pass.
func checkExecution(ctx context.Context, client *kube.Client, ref workflow.Ref, execution string) error {
	if execution == "" {
		return nil
	}
	found, err := record.Read(ctx, client, ref)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil && !found.IsOwnedBy(execution) {
		return workflow.ErrSuperseded
	}
	return nil
}

// deleteObject deletes an object if it exists.
func deleteObject(ctx context.Context, client *kube.Client, object kube.Object) error {
	if err := client.Delete(ctx, object); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
	}
	return nil
}

// DeleteEngines deletes the engines of a run and waits until their pods have ended. It comes before everything else that is deleted, because a
// running engine would create it again. The Jobs of steps continue.
func DeleteEngines(ctx context.Context, client *kube.Client, ref workflow.Ref) error {
	var jobs batchv1.JobList
	if err := client.Retry(ctx, func() error { return client.List(ctx, &jobs, ref.Namespace, ref.EngineSelector()) }); err != nil {
		return fmt.Errorf("list the engines of run %q in namespace %q: %w", ref.ID, ref.Namespace, err)
	}
	var problems []error
	for i := range jobs.Items {
		if err := client.Retry(ctx, func() error { return deleteObject(ctx, client, &jobs.Items[i]) }); err != nil {
			problems = append(problems, err)
		}
	}
	if len(jobs.Items) == 0 || len(problems) > 0 {
		return errors.Join(problems...)
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.EngineName()}}
	if err := client.Retry(ctx, func() error { return deleteObject(ctx, client, config) }); err != nil {
		return err
	}
	return waitForPods(ctx, client, ref, ref.EngineSelector(), isAnyPod)
}

// deleteJobs deletes the Jobs of a run's steps except those to keep, and their pods in the background.
func deleteJobs(ctx context.Context, client *kube.Client, ref workflow.Ref, shouldKeep func(*batchv1.Job) bool) error {
	var jobs batchv1.JobList
	if err := client.List(ctx, &jobs, ref.Namespace, ref.StepsSelector()); err != nil {
		return fmt.Errorf("list the Jobs of run %q in namespace %q: %w", ref.ID, ref.Namespace, err)
	}
	for i := range jobs.Items {
		if job := &jobs.Items[i]; !shouldKeep(job) {
			if err := deleteObject(ctx, client, job); err != nil {
				return err
			}
		}
	}
	return nil
}

func keepNone(*batchv1.Job) bool { return false }

// isAnyPod selects all pods, for waitForPods.
func isAnyPod(*corev1.Pod) bool { return true }

// waitForPods waits until none of these pods of the run is left, because a pod that still runs could write to Redis.
func waitForPods(ctx context.Context, client *kube.Client, ref workflow.Ref, labels string, matches func(*corev1.Pod) bool) error {
	left, example := 0, ""
	err := wait.PollUntilContextCancel(ctx, 500*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		if err := client.Retry(ctx, func() error { return client.List(ctx, &pods, ref.Namespace, labels) }); err != nil {
			return false, fmt.Errorf("list the pods of run %q in namespace %q: %w", ref.ID, ref.Namespace, err)
		}
		left = 0
		for i := range pods.Items {
			if matches(&pods.Items[i]) {
				left++
				example = describeRemaining(&pods.Items[i])
			}
		}
		return left == 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%d pods of run %q are still there in namespace %q, for example %s: %w", left, ref.ID, ref.Namespace, example, context.Cause(ctx))
	}
	return err
}

// describeRemaining describes a pod that is waited for, and what to do if its node does not answer.
func describeRemaining(pod *corev1.Pod) string {
	if pod.DeletionTimestamp == nil || pod.Spec.NodeName == "" {
		return "pod " + pod.Name
	}
	return fmt.Sprintf("pod %s on node %s, which should have ended at %s (%s)",
		pod.Name, pod.Spec.NodeName, pod.DeletionTimestamp.UTC().Format(time.RFC3339), adviseOutOfService(pod.Spec.NodeName))
}
