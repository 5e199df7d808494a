package detached

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/denial"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// Status is the status of a run that an engine executes, or has executed, as read from outside of the cluster.
type Status struct {
	Status workflow.RunStatus
	workflow.Outcome
}

// Reason returns why a run has stopped, as a text.
func (s Status) Reason() string {
	if s.Problem == "" {
		return "it did not finish"
	}
	return s.Problem
}

// ReadStatus reads the status of a run, and what its steps wait for. A run that no engine executes any more is stopped, with the reason in
// its problem.
func ReadStatus(ctx context.Context, client *kube.Client, ref workflow.Ref) (Status, error) {
	status, err := readRecordStatus(ctx, client, ref)
	if err != nil || status.Status != workflow.RunRunning {
		return status, err
	}
	pending, err := describePendingPods(ctx, client, ref)
	if status.Problem != "" && pending != "" {
		status.Problem += "\n"
	}
	status.Problem += pending
	return status, err
}

// readRecordStatus is ReadStatus without the pods that do not start, for which all pods have to be listed.
func readRecordStatus(ctx context.Context, client *kube.Client, ref workflow.Ref) (Status, error) {
	found, err := record.Read(ctx, client, ref)
	if apierrors.IsNotFound(err) {
		problem := fmt.Sprintf("its record, %s, is gone", record.Describe(ref))
		return Status{Status: workflow.RunStopped, Outcome: workflow.Outcome{Problem: problem}}, nil
	}
	if err != nil {
		return Status{}, err
	}
	return readStatus(ctx, client, ref, found)
}

// withRemedy adds what to do to the message of an event that a pod was denied.
func withRemedy(message, namespace string) string {
	if denied, isDenied := denial.Parse(message); isDenied {
		return message + "\n" + denied.Remedy(namespace)
	}
	return message
}

// describeJobsWithoutPods describes the Jobs of steps that are suspended, or whose pods cannot be created.
func describeJobsWithoutPods(ctx context.Context, client *kube.Client, ref workflow.Ref) (problems string, err error) {
	var jobs batchv1.JobList
	if err := client.List(ctx, &jobs, ref.Namespace, ref.StepsSelector()); err != nil {
		return "", fmt.Errorf("list the Jobs of run %q in namespace %q: %w", ref.ID, ref.Namespace, err)
	}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		if _, isFailed := engine.FindJobFailure(job); isFailed || engine.IsJobStopped(job) || job.Status.CompletionTime != nil {
			continue
		}
		if suspension := engine.DescribeSuspension(job); suspension != "" {
			problems += fmt.Sprintf("step %q: %s\n", job.Labels[workflow.StepLabel], suspension)
			continue
		}
		if job.Status.Active > 0 {
			continue
		}
		if _, message := engine.FindBlockingEvent(ctx, client, ref.Namespace, job.Name); message != "" {
			problems += fmt.Sprintf("step %q: the pod of Job %s cannot be created: %s\n", job.Labels[workflow.StepLabel], job.Name, withRemedy(message, ref.Namespace))
		}
	}
	return problems, nil
}

// describePendingPods describes the pods that do not start or cannot be created: of the engine, or of steps whose timeout has not passed.
func describePendingPods(ctx context.Context, client *kube.Client, ref workflow.Ref) (string, error) {
	var pods corev1.PodList
	if err := client.List(ctx, &pods, ref.Namespace, ref.Selector()); err != nil {
		return "", fmt.Errorf("list the pods of run %q in namespace %q: %w", ref.ID, ref.Namespace, err)
	}
	problems, err := describeJobsWithoutPods(ctx, client, ref)
	if err != nil {
		return "", err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if gates := engine.DescribeGates(pod); gates != "" {
			problems += fmt.Sprintf("pod %s: %s\n", pod.Name, gates)
		}
		reason, message := engine.FindPendingReason(pod)
		if reason != "" {
			problems += fmt.Sprintf("pod %s: %s: %s\n", pod.Name, reason, message)
		}
		if reason == corev1.PodReasonUnschedulable {
			owner := "the step"
			if pod.Labels[workflow.EngineLabel] != "" {
				owner = "engine"
			}
			problems += workflow.DescribeUnfitNodes(message, owner) + ".\n"
		}
	}
	if problems == "" {
		return "", nil
	}
	hint := fmt.Sprintf("To see more: kubectl -n %s describe pods -l %s", ref.Namespace, ref.Selector())
	return workflow.Shorten(problems, workflow.DetailLimit) + hint, nil
}

// readStatus returns the status in a record. While that is running, the Job of the engine must exist.
func readStatus(ctx context.Context, client *kube.Client, ref workflow.Ref, found record.Record) (status Status, err error) {
	for again := false; ; again = true {
		status = Status{Status: found.Status()}
		if status.Outcome, err = found.Outcome(); err != nil {
			return status, err
		}
		if status.Status != workflow.RunRunning || found.Engine() == "" {
			return status, nil
		}
		problem, state, err := findEngineProblem(ctx, client, ref, found.Engine())
		switch {
		case state == engineSuspended && status.Problem != "":
			status.Problem = problem + "\n" + status.Problem
		case state != engineRuns || status.Problem == "": // the last problem that the engine has written is closer to the cause
			status.Problem = problem
		}
		if err != nil || state != engineLost {
			return status, err
		}
		if again {
			status.Status = workflow.RunStopped
			return status, nil
		}
		// The engine may have written its outcome after the record was read.
		if found, err = record.Read(ctx, client, ref); err != nil {
			return status, err
		}
	}
}

// engineState is whether an engine executes its run.
type engineState int

const (
	engineRuns      engineState = iota // or will, or would without its problem
	engineSuspended                    // its Job is, as long as another actor wants
	engineLost                         // it will not continue its run
)

// findEngineProblem returns the problem of an engine, empty if there is none.
func findEngineProblem(ctx context.Context, client *kube.Client, ref workflow.Ref, name string) (problem string, state engineState, err error) {
	job := &batchv1.Job{}
	job.Namespace, job.Name = ref.Namespace, name
	err = client.Get(ctx, job)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("its engine, %s, is gone", kube.Describe(job)), engineLost, nil
	}
	if err != nil {
		return "", engineRuns, fmt.Errorf("read the Job of the engine of run %q, %s: %w", ref.ID, kube.Describe(job), err)
	}
	see := fmt.Sprintf("to see why: kubectl -n %s logs job/%s", ref.Namespace, name)
	if condition, isFailed := engine.FindJobFailure(job); isFailed {
		why := condition.Reason + ": " + strings.TrimSuffix(condition.Message, ".")
		return fmt.Sprintf("its engine, %s, has failed (%s); %s", kube.Describe(job), why, see), engineLost, nil
	}
	if job.Status.CompletionTime != nil {
		return fmt.Sprintf("its engine, %s, has ended without an outcome; %s", kube.Describe(job), see), engineLost, nil
	}
	if suspension := engine.DescribeSuspension(job); suspension != "" {
		const advice = "it continues when the queue or the user that has suspended the Job resumes it"
		return fmt.Sprintf("its engine (wait = false) does not run: %s; %s", suspension, advice), engineSuspended, nil
	}
	if job.Status.Failed > 0 && job.Status.Ready != nil && *job.Status.Ready == 0 {
		return fmt.Sprintf("its engine, %s, has failed %d times; %s", kube.Describe(job), job.Status.Failed, see), engineRuns, nil
	}
	if job.Status.Active+job.Status.Failed == 0 {
		if _, message := engine.FindBlockingEvent(ctx, client, ref.Namespace, name); message != "" {
			return fmt.Sprintf("the pod of its engine (wait = false) cannot be created: %s", withRemedy(message, ref.Namespace)), engineRuns, nil
		}
	}
	return "", engineRuns, nil
}

// statusInterval is the interval at which Wait reads the record.
const statusInterval = time.Second

// Wait waits until no engine executes a run any more.
func Wait(ctx context.Context, client *kube.Client, ref workflow.Ref, observe workflow.Observer) (status Status, err error) {
	problem := ""
	err = kube.PollUntilCanceled(ctx, statusInterval, true, func(ctx context.Context) (bool, error) {
		status, err = readRecordStatus(ctx, client, ref)
		if err == nil && status.Status == workflow.RunRunning && status.Problem != problem {
			problem = status.Problem
			observe.Report(describeProblem(problem))
		}
		if err != nil && engine.IsRetryable(err) {
			observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
			return false, nil
		}
		return err == nil && status.Status != workflow.RunRunning, err
	})
	if err != nil {
		return Status{}, err
	}
	return status, nil
}

// describeProblem returns the event that a run that is waited for has another problem, or none any more.
func describeProblem(problem string) workflow.Event {
	if problem == "" {
		return workflow.Event{Kind: workflow.RunContinues}
	}
	return workflow.Event{Kind: workflow.RunDisturbed, Detail: problem}
}
