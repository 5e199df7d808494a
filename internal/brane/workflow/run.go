// Package workflow runs a graph of containers on a cluster. Each step is a Job; the files of a step are committed to Redis at once or not at all, and that
// commit alone is what makes a step done. Jobs and Pods tell why a step is not done; announcements by Redis only say when to look.
//
// It uses kube and files; it knows nothing of Terraform, nor where the cluster's credential comes from.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Run is one execution of a graph of steps. All fields but Nodes, Address, Timeouts, Parallel, Prewarm, AgentInjection, LeaseID, Execution, Detach and Observe must be set.
type Run struct {
	ID         string // see [Identity.ID]
	Graph      Graph
	Inputs     map[string]files.Source // path below /data → content
	Kube       *kube.Client            // with the account that submits
	Nodes      *kube.Client            // with an account that may list the nodes; nil means Kube
	Namespace  string
	Location   string // by which Brane knows the cluster
	Address    string // of the cluster, as Brane knows it; empty means as Kube does
	Registry   string // host:port from which packages are pulled; needed only where there are any
	AgentImage string
	Redis      redis.UniversalClient // as this process dials it
	RedisURL   string                // the same server as a pod dials it, with its password
	RedisCerts files.Certificates    // for a RedisURL that is rediss://; may be empty
	Users      RedisUsers            // empty means UsersAuto
	Retention  time.Duration         // how long the run's files stay, but for its outputs
	Timeouts   PodTimeouts           // for pods that do not get on
	Parallel   int                   // Jobs of the run at once; 0 means no limit
	Prewarm    bool                  // make Jobs one step early, see ahead.go
	// AgentInjection is how the agent gets into the pods; empty means InjectAuto, see delivery.go.
	AgentInjection AgentInjection
	Holder         string      // who carries the run on, for people: a user, a machine, a process
	LeaseID        string      // holders with the same one are the same; empty means that this is another than all before
	Execution      string      // tells this user of the run from later ones of the same id, see [Delete]; may be empty
	Detach         bool        // leave the Jobs running when ctx is cancelled; past a deadline they are stopped all the same
	Observe        func(Event) // hears what happens, one call after another; may be nil

	byVolume   bool          // the agent's image is mounted; known once the run has its Redis user
	handedOver *bool         // what byVolume was for whoever handed the run over to this engine; nil outside of one
	engine     string        // the Job in which this process carries the run on; empty outside of the cluster
	deadline   time.Time     // of all Redis keys; known once the run's record is
	leaseTime  time.Duration // 0 means defaultLease; tests have less time
}

// Execute runs the steps that are not committed yet and returns when all are or one has failed. What an earlier Execute of the same id has begun is taken up
// where it stands. A failed step is no error but part of the result; the error says why the run could not be carried on, and when ctx ended that is its cause:
// then the Jobs that still ran are deleted, unless Detach says otherwise.
//
// One process at a time carries a run on. Execute waits for one that was killed, and returns a [HeldError] where it lives; a [LostError] or a [RecordGoneError]
// says that the run is not this one's any more. The error is a [TakenError] where the id is that of a run elsewhere; nothing is made then.
func (r *Run) Execute(ctx context.Context) (result Result, err error) {
	if err := r.checkPlace(ctx); err != nil {
		return Result{}, err
	}
	lease, err := r.acquire(ctx)
	if err != nil {
		return Result{}, err
	}
	held, done := lease.hold(ctx)
	result, err = r.carryOn(held, lease)
	done()
	if !gone(err) {
		lease.release(ctx, result.Status(err), nil)
	}
	return result, err
}

// carryOn prepares the run and lets its loop do the rest.
func (r *Run) carryOn(ctx context.Context, lease *lease) (Result, error) {
	store, err := r.prepare(ctx, lease)
	if err != nil {
		return Result{}, err
	}
	return r.proceed(ctx, lease, store)
}

// prepare brings all that steps need.
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
func (r *Run) proceed(ctx context.Context, lease *lease, store *files.Store) (Result, error) {
	if err := r.endCancel(ctx, store); err != nil {
		return Result{}, err
	}
	loop := newLoop(r, store, lease)
	letUserGo := r.holdUser(ctx, store)
	err := loop.run(ctx)
	if gone(err) || r.Leaves(err) {
		letUserGo(true)
		return loop.result(ctx), err
	}
	if _, hasFailed := decide(r.Graph, loop.known); err != nil || hasFailed {
		if stopErr := loop.stop(ctx); stopErr != nil {
			r.observe(Event{Kind: RunDisturbed, Detail: stopErr.Error()})
		}
	}
	letUserGo(false)
	return loop.result(ctx), err
}

// stopTime is how long a pod that was told to stop may take: Kubernetes' own 30 s, and as much for a busy node.
const stopTime = time.Minute

// Leaves says whether an Execute that ended with this error has left the Jobs running.
func (r *Run) Leaves(err error) bool { return r.Detach && errors.Is(err, context.Canceled) }

// endCancel takes back that an earlier Execute has stopped the run, once its pods have ended: two of one step must not run at once.
func (r *Run) endCancel(ctx context.Context, store *files.Store) error {
	cancelled, err := store.Cancelled(ctx)
	if err != nil || !cancelled {
		return err
	}
	// A Job that could not get on was left for people to look at; waiting for its pod would be in vain.
	if err := r.deleteJobs(ctx, isOver); err != nil {
		return err
	}
	soon, done := context.WithTimeoutCause(ctx, stopTime, errors.New("their node does not answer"))
	defer done()
	if err := r.waitForPods(soon, r.stepLabels(), stillRuns); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil {
		r.observe(Event{Kind: RunDisturbed, Detail: err.Error()}) // whichever commits first stands
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

func (r *Run) observe(event Event) {
	event.At = time.Now()
	if r.Observe != nil {
		r.Observe(event)
	}
}
