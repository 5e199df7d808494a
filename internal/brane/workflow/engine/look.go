package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The status of a delegated run, as read from outside of the cluster.

// Delegated is the status of a run that an engine executes, or has executed.
type Delegated struct {
	Status workflow.RunStatus
	workflow.Outcome
}

// Reason returns why a run has stopped, as a text.
func (d Delegated) Reason() string {
	if d.Problem == "" {
		return "it did not finish"
	}
	return d.Problem
}

// Look reads the status of a delegated run, and which pods do not start. A run that no engine executes any more is stopped, with the reason in its problem. It uses
// only the fields ID, Namespace and Kube of the Run.
func (r *Run) Look(ctx context.Context) (Delegated, error) {
	found, err := r.stands(ctx)
	if err == nil && found.Status == workflow.RunRunning && found.Problem == "" {
		found.Problem, err = r.heldUp(ctx)
	}
	return found, err
}

// stands is Look without the pods that do not start, for which all pods have to be listed.
func (r *Run) stands(ctx context.Context) (Delegated, error) {
	record := &corev1.ConfigMap{ObjectMeta: r.meta()}
	err := r.Kube.Get(ctx, record)
	if apierrors.IsNotFound(err) {
		return Delegated{Status: workflow.RunStopped, Outcome: workflow.Outcome{Problem: fmt.Sprintf("its record, %s, is gone", kube.Describe(record))}}, nil
	}
	if err != nil {
		return Delegated{}, fmt.Errorf("read the status of run %q, %s: %w", r.ID, kube.Describe(record), err)
	}
	return r.delegated(ctx, record)
}

// heldUp describes the pods that do not start: of the engine, or of steps whose timeout has not passed.
func (r *Run) heldUp(ctx context.Context) (string, error) {
	labels := workflow.RunLabel + "=" + r.ID
	var pods corev1.PodList
	if err := r.Kube.List(ctx, &pods, r.Namespace, labels); err != nil {
		return "", fmt.Errorf("list the pods of run %q in namespace %q: %w", r.ID, r.Namespace, err)
	}
	problems := ""
	for i := range pods.Items {
		if stuck, ok := stuckPod(workflow.PodTimeouts{}, &pods.Items[i]); ok && stuck.reason != "" {
			problems += fmt.Sprintf("pod %s: %s: %s\n", pods.Items[i].Name, stuck.reason, stuck.message)
		}
	}
	if problems == "" {
		return "", nil
	}
	return workflow.Shorten(problems, workflow.DetailLimit) + fmt.Sprintf("To see more: kubectl -n %s describe pods -l %s", r.Namespace, labels), nil
}

// delegated reads the run object. While its status is running, the Job of the engine must exist.
func (r *Run) delegated(ctx context.Context, record *corev1.ConfigMap) (Delegated, error) {
	for again := false; ; again = true {
		found := Delegated{Status: workflow.RunStatus(record.Data[statusKey])}
		if found.Status == "" {
			found.Status = workflow.RunRunning
		}
		if text := record.Data[outcomeKey]; text != "" {
			if err := json.Unmarshal([]byte(text), &found.Outcome); err != nil {
				return found, fmt.Errorf("read the outcome of run %q in %s: %w", r.ID, kube.Describe(record), err)
			}
		}
		name := record.Data[engineKey]
		if found.Status != workflow.RunRunning || name == "" {
			return found, nil
		}
		problem, isLost, err := r.engineProblem(ctx, name)
		if isLost || found.Problem == "" { // the last problem that the engine has written is closer to the cause
			found.Problem = problem
		}
		if err != nil || !isLost {
			return found, err
		}
		if again {
			found.Status = workflow.RunStopped
			return found, nil
		}
		// The engine may have written its outcome after the record was read.
		if err := r.Kube.Get(ctx, record); err != nil {
			return found, fmt.Errorf("read the status of run %q, %s: %w", r.ID, kube.Describe(record), err)
		}
	}
}

// engineProblem returns the problem of an engine, empty if there is none, and whether the engine is lost: then it will not continue its run.
func (r *Run) engineProblem(ctx context.Context, name string) (problem string, isLost bool, err error) {
	job := &batchv1.Job{}
	job.Namespace, job.Name = r.Namespace, name
	err = r.Kube.Get(ctx, job)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("its engine, %s, is gone", kube.Describe(job)), true, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read the Job of the engine of run %q, %s: %w", r.ID, kube.Describe(job), err)
	}
	see := fmt.Sprintf("to see why: kubectl -n %s logs job/%s", r.Namespace, name)
	if condition, failed := jobFailed(job); failed {
		return fmt.Sprintf("its engine, %s, has failed (%s: %s); %s", kube.Describe(job), condition.Reason, strings.TrimSuffix(condition.Message, "."), see), true, nil
	}
	if job.Status.CompletionTime != nil {
		return fmt.Sprintf("its engine, %s, has ended without an outcome; %s", kube.Describe(job), see), true, nil
	}
	if job.Status.Failed > 0 && job.Status.Ready != nil && *job.Status.Ready == 0 {
		return fmt.Sprintf("its engine, %s, has failed %d times; %s", kube.Describe(job), job.Status.Failed, see), false, nil
	}
	if job.Status.Active+job.Status.Failed == 0 {
		_, message := r.hindrance(ctx, name)
		return message, false, nil
	}
	return "", false, nil
}

// awaitLook is the interval at which Await reads the run object.
const awaitLook = time.Second

// Await waits until no engine runs a delegated run any more.
func (r *Run) Await(ctx context.Context) (found Delegated, err error) {
	err = pollUntilCanceled(ctx, awaitLook, true, func(ctx context.Context) (bool, error) {
		found, err = r.stands(ctx)
		if err != nil && isRetryable(err) {
			r.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
			return false, nil
		}
		return err == nil && found.Status != workflow.RunRunning, err
	})
	if err != nil {
		return Delegated{}, err
	}
	return found, nil
}
