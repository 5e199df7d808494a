// Package engine executes runs: it creates the Job of each step when its needs are committed, and watches Redis, Jobs and Pods until the
// run has ended. state.go has the states of a step, decide.go what happens next, loop.go the loop that connects them with the cluster and
// Redis.
//
// The package uses kube, files and the packages of workflow. It does not depend on Terraform, and does not decide which credential is used
// for the cluster.
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

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
)

// Clients connect an execution to the cluster and to Redis. All but Nodes and Certificates must be set.
type Clients struct {
	Kube         *kube.Client       // with the service account that submits the Jobs
	Nodes        *kube.Client       // with an account that has permission to list the nodes, and the policies of the namespace; nil means Kube
	Results      *results.Store     // of the run
	RedisURL     string             // of the same server for the pods, with its password
	Certificates files.Certificates // for a RedisURL that is rediss://
}

// Options describe the process that executes a run.
type Options struct {
	Holder  record.Holder     // of the run's lease; its retention is that of the run
	Detach  bool              // leave the Jobs running when the context is cancelled; they are stopped when its deadline has passed
	Observe workflow.Observer // is called for each event
	// LostAfter is how long after its grace period a pod is lost if its node is not ready; 0 means two minutes.
	LostAfter time.Duration
}

// Execute runs the steps without a stored result of the same fingerprint, and returns when all are committed or one has failed. It resumes what
// an earlier Execute of the same id has started. A failed step is not an error but part of the result. The error is the reason why the run could not
// continue; if ctx has ended, it is the cause of ctx. The running Jobs are deleted then, unless it is a [workflow.StepsContinueError].
//
// Only one process at a time executes a run. If another process holds the lease, Execute waits until the lease has expired, and returns a
// [workflow.HeldError] if it is renewed. A [workflow.LostError] or a [workflow.RecordGoneError] means that the run does not belong to this
// process any more, and a [workflow.NotStartedError] that no step was started.
func Execute(ctx context.Context, spec *workflow.Spec, clients Clients, options Options) (workflow.Result, error) {
	lease, err := Acquire(ctx, spec, clients.Kube, options)
	if err != nil {
		return workflow.Result{}, &workflow.NotStartedError{Err: err}
	}
	held, stopRenewing := lease.StartRenewing(ctx)
	var result workflow.Result
	execution, err := Prepare(held, lease, spec, clients, options)
	if err == nil {
		result, err = execution.Run(held)
	} else {
		err = &workflow.NotStartedError{Err: err, IsOwner: true}
	}
	stopRenewing()
	if workflow.IsLost(err) {
		return result, err
	}
	if releaseErr := lease.Release(ctx, record.Final{Status: result.Status(err)}); releaseErr != nil { // the caller knows how the run ended
		options.Observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: releaseErr.Error()})
	}
	return result, err
}

// Acquire acquires the lease of a run.
func Acquire(ctx context.Context, spec *workflow.Spec, client *kube.Client, options Options) (*record.Lease, error) {
	holder := options.Holder
	holder.Retention = spec.Retention
	return record.Acquire(ctx, client, spec.Ref(), holder, options.Observe)
}

// Execution is one execution of a run by this process, which has acquired the lease. It does not change.
type Execution struct {
	spec      *workflow.Spec
	clients   Clients
	options   Options
	lease     *record.Lease
	results   *results.Store // what is written through it expires with the run
	injection workflow.AgentInjection
	policies  jobspec.Policies // of the namespace
	secrets   jobspec.Secrets  // of the pods
	firstTerm int              // of the lease, in which the execution was prepared
	keptUntil time.Time        // the deadline of the last execution; zero if it had passed
}

// Prepare stores the configuration and the inputs of a run, and creates the Secrets that its steps need.
func Prepare(ctx context.Context, lease *record.Lease, spec *workflow.Spec, clients Clients, options Options) (*Execution, error) {
	options.Observe = options.Observe.Serialize()
	store, err := openStore(lease, clients, options)
	if err != nil {
		return nil, err
	}
	keptUntil, err := store.Files().SetDeadline(ctx)
	if err != nil {
		return nil, err
	}
	if spec.Configuration != nil {
		if err := store.Files().SetConfiguration(ctx, spec.Configuration); err != nil {
			return nil, err
		}
	}
	if err := storeInputs(ctx, store.Files(), spec); err != nil {
		return nil, err
	}
	hasOwnUser, err := ensureRedisAccess(ctx, lease, store.Files(), spec, clients, options.Observe)
	if err != nil {
		return nil, err
	}
	secrets := jobspec.Secrets{Access: spec.Ref().AccessName(lease.Term()), Env: spec.Ref().SecretEnvName(lease.Term())}
	if secret := jobspec.BuildSecretEnv(spec, secrets.Env, lease.Owner()); secret != nil {
		if err := createSecret(ctx, clients.Kube, secret); err != nil {
			return nil, fmt.Errorf("create the secret environment of run %q, %s: %w", spec.ID, kube.Describe(secret), err)
		}
	}
	injection := chooseAgentInjection(ctx, spec, clients, hasOwnUser, options.Observe)
	return &Execution{spec, clients, options, lease, store, injection, ReadPolicies(ctx, spec.Namespace, clients), secrets, lease.Transitions(), keptUntil}, nil
}

// Prepared is what the process that prepares an execution gives to another one that continues it.
type Prepared struct {
	Injection workflow.AgentInjection `json:"injection"`         // how the agent gets into the pods
	Policies  jobspec.Policies        `json:"policies,omitzero"` // of the namespace
	SecretEnv string                  `json:"secret_env"`        // the name of the Secret with the steps' secret environment
	Term      int                     `json:"term"`              // of the lease, in which the execution was prepared
}

// Prepared returns what another process needs to continue this execution with [Resume].
func (e *Execution) Prepared() Prepared {
	return Prepared{e.injection, e.policies, e.secrets.Env, e.firstTerm}
}

// Resume continues an execution that another process has prepared.
func Resume(ctx context.Context, lease *record.Lease, spec *workflow.Spec, clients Clients, options Options, prepared Prepared) (*Execution, error) {
	options.Observe = options.Observe.Serialize()
	store, err := openStore(lease, clients, options)
	if err != nil {
		return nil, err
	}
	keptUntil, err := store.Files().SetDeadline(ctx)
	if err != nil {
		return nil, err
	}
	// An earlier execution may have removed the run's Redis user.
	hasOwnUser, err := ensureRedisAccess(ctx, lease, store.Files(), spec, clients, options.Observe)
	if err != nil {
		return nil, err
	}
	injection := keepAgentInjection(spec, clients.Certificates, hasOwnUser, prepared.Injection, options.Observe)
	secrets := jobspec.Secrets{Access: spec.Ref().AccessName(lease.Term()), Env: prepared.SecretEnv}
	return &Execution{spec, clients, options, lease, store, injection, prepared.Policies, secrets, prepared.Term, keptUntil}, nil
}

// Results returns the results of the run.
func (e *Execution) Results() *results.Store { return e.results }

// Run runs the steps of the prepared run.
func (e *Execution) Run(ctx context.Context) (workflow.Result, error) {
	store, observe := e.results.Files(), e.options.Observe
	wasCancelled, err := clearCancellation(ctx, e.clients.Kube, e.spec.Ref(), store, observe)
	if err != nil {
		return workflow.Result{}, err
	}
	stopKeeping := keepRedisUser(ctx, store, e.spec.Users, observe)
	loop := newLoop(e)
	loop.wasCancelled = wasCancelled
	err = loop.explainRecordGone(ctx, loop.runSteps(ctx))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = loop.explainTimeout(ctx, err)
	}
	if workflow.IsLost(err) {
		stopKeeping(true)
		return loop.buildResult(ctx), err
	}
	hasFailed := loop.state.decide().hasFailed
	// The next pod of an engine restores the failure; the next apply would run the failed step again.
	hasSuccessor := !hasFailed || e.options.Holder.Engine != ""
	if hasSuccessor && leavesSteps(ctx, err, e.options.Detach) {
		stopKeeping(true)
		return loop.buildResult(ctx), &workflow.StepsContinueError{Err: err}
	}
	loop.releaseSidecars(ctx)
	if err != nil || hasFailed {
		stopErr := loop.stopSteps(ctx)
		if workflow.IsLost(stopErr) {
			stopKeeping(true)
			return loop.buildResult(ctx), loop.explainRecordGone(ctx, stopErr)
		}
		if stopErr != nil {
			observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: stopErr.Error()})
			if err != nil {
				err = &workflow.NotStoppedError{Err: err, Stop: stopErr}
			}
		}
	}
	stopKeeping(e.verifyLease(ctx) != nil)
	return loop.buildResult(ctx), err
}

// verifyLease checks that this process holds the lease before it does what affects another holder. ctx may have ended.
func (e *Execution) verifyLease(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	return e.lease.Verify(ctx)
}

// leavesSteps reports whether an execution that ends with this error leaves the running steps as they are: it was interrupted with Detach, or
// ends because of an outage. A timeout stops them.
func leavesSteps(ctx context.Context, err error, detach bool) bool {
	if ctx.Err() != nil {
		return detach && errors.Is(err, context.Canceled)
	}
	return err != nil && isOutage(err)
}

// storeInputs stores the inputs of a run.
func storeInputs(ctx context.Context, store *files.Store, spec *workflow.Spec) error {
	err := files.Again(func() error {
		layer, err := store.PutInputs(ctx, spec.Inputs)
		if err == nil {
			err = store.SetInput(ctx, layer)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("store the inputs of run %q: %w", spec.ID, err)
	}
	return nil
}

// stopTime is how long a pod that was asked to stop may take: the 30 s of Kubernetes, and as much again for a busy node.
const stopTime = time.Minute

// clearCancellation resumes a run that an earlier execution has cancelled, when its pods have ended, because two pods of one step must not
// run at the same time. It reports whether the run was cancelled.
func clearCancellation(ctx context.Context, client *kube.Client, ref workflow.Ref, store *files.Store, observe workflow.Observer) (wasCancelled bool, err error) {
	term, err := store.CancelledTerm(ctx)
	if err != nil || term == 0 {
		return false, err
	}
	// Later terms are not cancelled. A Job that has failed is kept for inspection; its pod does not have to be waited for.
	shouldKeep := func(job *batchv1.Job) bool { return isJobOver(job) || findTerm(job.Spec.Template.Spec) > term }
	if err := client.Retry(ctx, func() error { return deleteJobs(ctx, client, ref, shouldKeep) }); err != nil {
		return true, err
	}
	soon, done := context.WithTimeoutCause(ctx, stopTime, errors.New("their node does not answer"))
	defer done()
	isStopping := func(pod *corev1.Pod) bool { return isPodRunning(pod) && findTerm(pod.Spec) <= term }
	if err := waitForPods(soon, client, ref, ref.StepsSelector(), isStopping); ctx.Err() != nil {
		return true, context.Cause(ctx)
	} else if err != nil {
		observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()}) // the first commit is used
	}
	return true, store.Resume(ctx)
}

// findTerm returns the term of the run's lease in which the Job with these pods was created; 0 if that cannot be read.
func findTerm(pod corev1.PodSpec) int {
	step, _ := jobspec.FindAgentStep(&batchv1.Job{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod}}})
	return step.Term
}

// isPodRunning reports whether a pod has not ended.
func isPodRunning(pod *corev1.Pod) bool {
	return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// CreateOrUpdate creates an object of a run, or overwrites that of an earlier execution.
func CreateOrUpdate(ctx context.Context, client *kube.Client, object kube.Object) error {
	return client.Retry(ctx, func() error {
		err := client.Create(ctx, object)
		if apierrors.IsAlreadyExists(err) {
			err = client.Update(ctx, object)
		}
		return err
	})
}

// createSecret creates a Secret of this execution. If it exists, the answer to an earlier request was lost.
func createSecret(ctx context.Context, client *kube.Client, secret *corev1.Secret) error {
	err := client.Retry(ctx, func() error { return client.Create(ctx, secret) })
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// newObjectMeta returns the metadata of an object that is deleted together with the run's record.
func newObjectMeta(ref workflow.Ref, name string, owner metav1.OwnerReference) metav1.ObjectMeta {
	meta := ref.Meta()
	meta.Name, meta.OwnerReferences = name, []metav1.OwnerReference{owner}
	return meta
}
