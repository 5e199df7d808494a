// Package engine executes runs: it creates the Job of each step when its needs are committed, and watches Redis, Jobs and Pods until the run has ended.
//
// The package uses kube and files. It does not depend on Terraform, and does not decide which credential is used for the cluster.
package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Run is one execution of a graph of steps. All fields but Nodes, Address, Timeouts, Parallel, Prewarm, AgentInjection, LeaseID, Execution, Detach and Observe must be set.
type Run struct {
	ID         string // see [Identity.ID]
	Graph      workflow.Graph
	Inputs     map[string]files.Source // path below /data → content
	Kube       *kube.Client            // connects with the service account that submits the Jobs
	Nodes      *kube.Client            // connects with an account that has permission to list the nodes; nil means Kube
	Namespace  string
	Location   string // name of the cluster in Brane's configuration files
	Address    string // of the cluster in Brane's configuration files; empty means the address of Kube
	Registry   string // host:port from which packages are pulled; needed only if there are any
	AgentImage string
	Redis      redis.UniversalClient // connects from this process
	RedisURL   string                // of the same server for the pods, with its password
	RedisCerts files.Certificates    // for a RedisURL that is rediss://; may be empty
	Users      workflow.RedisUsers   // empty means UsersAuto
	Retention  time.Duration         // how long the files of the run are kept, except for its outputs
	Timeouts   workflow.PodTimeouts  // for pods that do not start
	Parallel   int                   // Jobs of the run at the same time; 0 means no limit
	Prewarm    bool                  // create Jobs one step early, see ahead.go
	// AgentInjection is how the agent gets into the pods; empty means InjectAuto, see delivery.go.
	AgentInjection workflow.AgentInjection
	Holder         string               // this process, for display: a user, a machine, a process id
	LeaseID        string               // the same for the same holder; empty means a new holder
	Execution      string               // distinguishes this execution from later ones of the same id, see [Delete]; may be empty
	Detach         bool                 // leave the Jobs running when ctx is cancelled; they are stopped when its deadline has passed
	Observe        func(workflow.Event) // is called for each event, one call at a time; may be nil

	byVolume   bool          // the agent's image is mounted; known once the run has its Redis user
	handedOver *bool         // byVolume of the process that delegated the run to this engine; nil outside of an engine
	engine     string        // the Job in which this process executes the run; empty outside of the cluster
	deadline   time.Time     // of all Redis keys; known once the run's record is
	leaseTime  time.Duration // 0 means defaultLease; tests have less time
}

// Execute runs the steps that are not committed yet, and returns when all are committed or one has failed. It resumes what an earlier Execute of the same id has
// started. A failed step is not an error but part of the result. The error is the reason why the run could not continue; if ctx has ended, it is the cause of ctx, and
// the running Jobs are deleted unless Detach is set.
//
// Only one process at a time executes a run. If another process holds the lease, Execute waits until the lease has expired, and returns a [HeldError] if it is renewed.
// A [LostError] or a [RecordGoneError] means that the run does not belong to this process any more. A [RunExistsElsewhereError] means that the id belongs to a run in another place;
// then nothing is created.
func (r *Run) Execute(ctx context.Context) (result workflow.Result, err error) {
	if err := r.checkPlace(ctx); err != nil {
		return workflow.Result{}, err
	}
	lease, err := r.acquire(ctx)
	if err != nil {
		return workflow.Result{}, err
	}
	held, done := lease.hold(ctx)
	result, err = r.carryOn(held, lease)
	done()
	if !workflow.IsLost(err) {
		lease.release(ctx, result.Status(err), nil)
	}
	return result, err
}

// carryOn prepares the run and runs its steps.
func (r *Run) carryOn(ctx context.Context, lease *lease) (workflow.Result, error) {
	store, err := r.prepare(ctx, lease)
	if err != nil {
		return workflow.Result{}, err
	}
	return r.proceed(ctx, lease, store)
}

// prepare stores the inputs and creates the Secrets that steps need.
func (r *Run) prepare(ctx context.Context, lease *lease) (*files.Store, error) {
	store, err := r.open()
	if err != nil {
		return nil, err
	}
	if err := store.SetMeta(ctx, r.placeMeta()); err != nil {
		return nil, fmt.Errorf("record run %q in Redis: %w", r.ID, err)
	}
	if err := r.putInputs(ctx, store); err != nil {
		return nil, err
	}
	if err := r.handOver(ctx, store, lease.owner()); err != nil {
		return nil, err
	}
	return store, r.putSecretEnv(ctx, lease.owner())
}

// proceed runs the steps of a prepared run.
func (r *Run) proceed(ctx context.Context, lease *lease, store *files.Store) (workflow.Result, error) {
	if err := r.endCancel(ctx, store); err != nil {
		return workflow.Result{}, err
	}
	loop := newLoop(r, store, lease)
	letUserGo := r.holdUser(ctx, store)
	err := loop.explainRecordGone(ctx, loop.run(ctx))
	if workflow.IsLost(err) || r.Leaves(err) {
		letUserGo(true)
		return loop.result(ctx), err
	}
	if _, hasFailed := decide(r.Graph, loop.known); err != nil || hasFailed {
		if stopErr := loop.stop(ctx); stopErr != nil {
			r.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: stopErr.Error()})
		}
	}
	letUserGo(false)
	return loop.result(ctx), err
}

// stopTime is how long a pod that was asked to stop may take: the 30 s of Kubernetes, and as much again for a busy node.
const stopTime = time.Minute

// Leaves reports whether an Execute that returned this error has left the Jobs running.
func (r *Run) Leaves(err error) bool { return r.Detach && errors.Is(err, context.Canceled) }

// endCancel resumes a run that an earlier Execute has cancelled, when its pods have ended, because two pods of one step must not run at the same time.
func (r *Run) endCancel(ctx context.Context, store *files.Store) error {
	cancelled, err := store.Cancelled(ctx)
	if err != nil || !cancelled {
		return err
	}
	// A Job that has failed is kept for inspection; its pod does not have to be waited for.
	if err := r.deleteJobs(ctx, isOver); err != nil {
		return err
	}
	soon, done := context.WithTimeoutCause(ctx, stopTime, errors.New("their node does not answer"))
	defer done()
	if err := r.waitForPods(soon, r.stepLabels(), stillRuns); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil {
		r.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()}) // the first commit is used
	}
	return store.Resume(ctx)
}

func (r *Run) open() (*files.Store, error) {
	return files.Open(files.Config{Redis: r.Redis, Run: r.ID, Deadline: r.deadline})
}

func (r *Run) putInputs(ctx context.Context, store *files.Store) error {
	err := files.Again(func() error {
		layer, err := store.PutInputs(ctx, r.Inputs)
		if err == nil {
			err = store.SetInput(ctx, layer)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("store the inputs of run %q: %w", r.ID, err)
	}
	return nil
}

func (r *Run) observe(event workflow.Event) {
	event.At = time.Now()
	if r.Observe != nil {
		r.Observe(event)
	}
}
