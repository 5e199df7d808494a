package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Engine executes a run that [Run.Delegate] has prepared, inside the cluster.
type Engine struct{ run *Run }

// errPastDeadline ends a run whose files have expired.
var errPastDeadline = errors.New("its retention has passed, and its files are deleted")

// OpenEngine reads the configuration of its pod: the orders, the Redis credential, and the steps' secret environment. The client must use the service account of
// the pod.
func OpenEngine(client *kube.Client, env func(string) string, observe func(workflow.Event)) (*Engine, error) {
	text, err := os.ReadFile(filepath.Join(ordersMount, ordersFile))
	if err != nil {
		return nil, fmt.Errorf("read the orders: %w", err)
	}
	orders, graph, err := readOrders(text)
	if err != nil {
		return nil, err
	}
	if err := readSecretEnv(graph, secretEnvMount); err != nil {
		return nil, err
	}
	address, certificates, err := agent.ReadAccess(agent.SecretMount)
	if err != nil {
		return nil, err
	}
	trust, err := certificates.Config()
	if err != nil {
		return nil, err
	}
	redis, err := files.Dialer{TLS: trust}.Dial(address)
	if err != nil {
		return nil, err
	}
	return &Engine{&Run{
		ID: orders.Run, Graph: graph, Kube: client, Namespace: orders.Namespace, Location: orders.Location, Registry: orders.Registry, AgentImage: orders.AgentImage,
		Redis: redis, RedisURL: address, RedisCerts: certificates, Users: orders.Users,
		Timeouts: orders.Timeouts, Parallel: orders.Parallel, Prewarm: orders.Prewarm, AgentInjection: orders.AgentInjection, handedOver: &orders.ByVolume,
		Holder: "pod " + env(envPod), LeaseID: env(envPodUID), Detach: true, Observe: observe, engine: env(envEngine),
	}}, nil
}

func readOrders(text []byte) (orders, workflow.Graph, error) {
	var o orders
	if err := json.Unmarshal(text, &o); err != nil {
		return o, workflow.Graph{}, fmt.Errorf("read the orders: %w", err)
	}
	graph, err := workflow.NewGraph(o.Steps)
	if err != nil {
		return o, workflow.Graph{}, fmt.Errorf("read the orders: %w", err)
	}
	return o, graph, nil
}

// readSecretEnv reads the steps' secret environment from the files of the mounted Secret.
func readSecretEnv(graph workflow.Graph, folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the secret environment: %w", err)
	}
	for _, entry := range entries {
		step, variable, ok := strings.Cut(entry.Name(), ".")
		if !ok || !graph.HasStep(step) {
			continue // Kubernetes' own ..data
		}
		value, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return fmt.Errorf("read the secret environment: %w", err)
		}
		graph.SetSecretEnv(step, variable, string(value))
	}
	return nil
}

// Run executes the run until it has ended. That is not an error, whatever the status of the run, which is written to the record. An error means that another pod
// should try. If the record is gone or names another engine, there is nothing to do.
func (e *Engine) Run(ctx context.Context) error {
	r := e.run
	ours, err := e.ours(ctx)
	if err != nil || !ours {
		return err
	}
	lease, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	limited, done := context.WithDeadlineCause(ctx, r.deadline, errPastDeadline)
	defer done()
	held, end := lease.hold(limited)
	outcome, err := e.carryOn(held, lease)
	end()
	if workflow.IsLost(err) {
		r.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
		return nil // another process executes the run, or it was deleted
	}
	status := outcome.Status(err)
	final := err == nil || hopeless(err)
	switch {
	case !final:
		status, outcome.Problem = workflow.RunRunning, err.Error() // for the next pod, and for a refresh in the meantime
	case err != nil:
		outcome.Problem = err.Error()
	case outcome.Problem != "":
		status = workflow.RunStopped
	}
	text, problem := outcome.Encode()
	if problem != nil {
		return problem
	}
	lease.release(ctx, status, map[string]string{outcomeKey: text})
	if final {
		return nil
	}
	return err
}

// hopeless reports whether another pod would get the same error, because it has the same credential, namespace and deadline.
func hopeless(err error) bool {
	var away *workflow.NamespaceGoneError
	return errors.Is(err, errPastDeadline) || errors.As(err, &away) || errors.Is(err, files.ErrPassword) || errors.Is(err, files.ErrForbidden)
}

// ours reports whether this engine has to execute the run, and the run has not ended. It waits while the process that created this engine still holds the lease.
func (e *Engine) ours(ctx context.Context) (ours bool, err error) {
	record := &corev1.ConfigMap{ObjectMeta: e.run.meta()}
	err = pollUntilCanceled(ctx, leaseLook, true, func(ctx context.Context) (bool, error) {
		err := e.run.Kube.Get(ctx, record)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the status of run %q, %s: %w", e.run.ID, kube.Describe(record), err)
		}
		status := workflow.RunStatus(record.Data[statusKey])
		if record.Data[engineKey] == e.run.engine {
			ours = status == "" || status == workflow.RunRunning
			return true, nil
		}
		return record.Data[engineKey] != "" || record.Data[leaseKey] == "", nil
	})
	return ours, err
}

// carryOn executes the run and keeps its outputs.
func (e *Engine) carryOn(ctx context.Context, lease *lease) (workflow.Outcome, error) {
	r := e.run
	store, err := r.open()
	if err != nil {
		return workflow.Outcome{}, err
	}
	// A pod before this one may have removed the run's Redis user.
	if err := r.handOver(ctx, store, lease.owner()); err != nil {
		return workflow.Outcome{}, err
	}
	result, err := r.proceed(ctx, lease, store)
	outcome := workflow.Outcome{Result: result}
	if err != nil || len(result.Failures) > 0 {
		return outcome, err
	}
	paths, err := e.outputs(ctx)
	if err != nil || len(paths) == 0 {
		return outcome, err
	}
	if outcome.Outputs, err = r.Keep(ctx, result, paths); err != nil && lasting(err) {
		outcome.Problem, err = err.Error(), nil
	}
	return outcome, err
}

// outputs returns the paths to keep, which may have changed since the pod was created.
func (e *Engine) outputs(ctx context.Context) ([]string, error) {
	object := e.run.ordersObject()
	if err := e.run.Kube.Get(ctx, object); err != nil {
		return nil, fmt.Errorf("read which outputs to keep, %s: %w", kube.Describe(object), err)
	}
	o, _, err := readOrders([]byte(object.Data[ordersFile]))
	return o.Outputs, err
}

// lasting reports whether the outputs will be missing at another attempt as well.
func lasting(err error) bool {
	var missing *files.MissingError
	var conflict *files.ConflictError
	return errors.As(err, &missing) || errors.As(err, &conflict) || errors.Is(err, files.ErrGone) || errors.Is(err, files.ErrCorrupt)
}
