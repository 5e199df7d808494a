package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// A run can be executed inside the cluster, by an [Engine] in a separate Job. This file is the side of the process that starts the engine and reads its status.
// Both sides communicate through the run object, which outlives the files of the run.
const (
	engineKey  = "engine"  // of the run object: the Job of the engine that executes the run, or has executed it; missing if there is no engine
	outcomeKey = "outcome" // of the run object: the Outcome that the engine has written
)

// account returns the service account with which this process submits Jobs, and with which the engine will.
func (r *Run) account(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := r.Kube.Create(ctx, review); err != nil {
		return "", fmt.Errorf("ask the cluster at %s for the user of the registered credential: %w", r.Kube.Host(), err)
	}
	user := review.Status.UserInfo.Username
	name, found := strings.CutPrefix(user, "system:serviceaccount:"+r.Namespace+":")
	if !found {
		return "", &workflow.AccountError{User: user, Namespace: r.Namespace}
	}
	return name, nil
}

// Delegate prepares the run like Execute, and creates the Job that executes it inside the cluster. Outputs are the paths that are kept at its end. If an engine
// executes the run already, because the process that started it was killed, it continues, and the run belongs to this execution from then on.
func (r *Run) Delegate(ctx context.Context, outputs []string) error {
	if err := r.checkPlace(ctx); err != nil {
		return err
	}
	account, err := r.account(ctx)
	if err != nil {
		return err
	}
	if adopted, err := r.Adopt(ctx, outputs); adopted || err != nil {
		return err
	}
	lease, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	held, done := lease.hold(ctx)
	engine, err := r.install(held, lease, account, outputs)
	done()
	if workflow.IsLost(err) {
		return err
	}
	if err != nil {
		lease.release(ctx, workflow.RunStopped, nil)
		return err
	}
	// From here on the engine can acquire the lease.
	lease.release(ctx, workflow.RunRunning, map[string]string{engineKey: engine})
	return nil
}

// install creates the objects that the engine needs, and the Job of the engine.
func (r *Run) install(ctx context.Context, lease *lease, account string, outputs []string) (engine string, err error) {
	if _, err := r.prepare(ctx, lease); err != nil {
		return "", err
	}
	text, err := orders{
		Run: r.ID, Namespace: r.Namespace, Location: r.Location, Registry: r.Registry, AgentImage: r.AgentImage, Users: r.Users,
		Timeouts: r.Timeouts, Parallel: r.Parallel, Prewarm: r.Prewarm, AgentInjection: r.AgentInjection, ByVolume: r.byVolume, Steps: r.Graph.All(), Outputs: outputs,
	}.encode()
	if err != nil {
		return "", err
	}
	object := r.ordersObject()
	object.OwnerReferences = append(object.OwnerReferences, lease.owner())
	object.Data = map[string]string{ordersFile: text}
	if err := r.put(ctx, object); err != nil { // replaces the orders of an engine that has ended
		return "", fmt.Errorf("write the orders for the engine of run %q, %s: %w", r.ID, kube.Describe(object), err)
	}
	// The engine keeps the run's Redis user, like this process would; the credential of that user is not sufficient for that.
	if err := r.putAccess(ctx, r.ordersName(), r.RedisURL, lease.owner()); err != nil {
		return "", err
	}
	job := r.engineJob(workflow.ObjectName("brane", r.ID, "engine", strconv.Itoa(lease.term)), account, lease.owner())
	if err := r.Kube.Create(ctx, job); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create the engine of run %q, %s: %w", r.ID, kube.Describe(job), err)
	}
	return job.Name, nil
}

// Adopt takes over a run that an engine executes: it belongs to this execution from then on, and the engine keeps these outputs. It reports whether there was such
// a run.
func (r *Run) Adopt(ctx context.Context, outputs []string) (bool, error) {
	for {
		record := &corev1.ConfigMap{ObjectMeta: r.meta()}
		err := r.Kube.Get(ctx, record)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the holder of run %q, %s: %w", r.ID, kube.Describe(record), err)
		}
		if found, err := r.delegated(ctx, record); err != nil || record.Data[engineKey] == "" || found.Status != workflow.RunRunning {
			return false, err
		}
		record.Data[executionKey] = r.Execution
		if err := r.Kube.Update(ctx, record); apierrors.IsConflict(err) {
			continue // the engine has renewed its lease
		} else if err != nil {
			return false, fmt.Errorf("take over run %q, %s: %w", r.ID, kube.Describe(record), err)
		}
		return true, r.Declare(ctx, outputs)
	}
}

// Declare writes which outputs the engine has to keep at the end of the run. It uses only the fields ID, Namespace and Kube of the Run.
func (r *Run) Declare(ctx context.Context, outputs []string) error {
	object := r.ordersObject()
	err := r.Kube.Get(ctx, object)
	var o orders
	if err == nil {
		o, _, err = readOrders([]byte(object.Data[ordersFile]))
	}
	if err == nil {
		o.Outputs = outputs
		object.Data[ordersFile], err = o.encode()
	}
	if err == nil {
		err = r.Kube.Update(ctx, object)
	}
	if err != nil {
		return fmt.Errorf("write which outputs the engine of run %q has to keep, %s: %w", r.ID, kube.Describe(object), err)
	}
	return nil
}
