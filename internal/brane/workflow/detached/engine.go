package detached

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
)

// Engine executes a run that [Start] has prepared, inside the cluster.
type Engine struct {
	spec    *workflow.Spec
	config  engineConfig
	clients engine.Clients
	options engine.Options
}

// errPastDeadline ends a run whose files have expired.
var errPastDeadline = errors.New("its retention has passed, and its files are deleted")

// leaseInterval is the interval at which an engine looks whether the process that has created it has released the lease.
const leaseInterval = time.Second

// NewEngine reads the configuration of its pod: the run, the Redis credential, and the steps' secret environment. The client must use the
// service account of the pod.
func NewEngine(client *kube.Client, env func(string) string, observe workflow.Observer) (*Engine, error) {
	text, err := os.ReadFile(filepath.Join(jobspec.EngineConfigMount, jobspec.EngineConfigFile))
	if err != nil {
		return nil, fmt.Errorf("read the engine's configuration: %w", err)
	}
	config, err := parseEngineConfig(text)
	if err != nil {
		return nil, err
	}
	spec, err := config.toSpec()
	if err != nil {
		return nil, err
	}
	if err := readSecretEnv(spec.Graph, jobspec.SecretEnvMount); err != nil {
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
	store, err := results.Open(redis, spec.ID, spec.Graph)
	if err != nil {
		return nil, err
	}
	return &Engine{
		spec: spec, config: config,
		clients: engine.Clients{Kube: client, Results: store, RedisURL: address, Certificates: certificates},
		options: engine.Options{
			Holder: record.Holder{Name: "pod " + env(jobspec.EnvPod), ID: env(jobspec.EnvPodUID), Engine: env(jobspec.EnvEngine)},
			Detach: true, Observe: observe,
		},
	}, nil
}

// readSecretEnv reads the steps' secret environment from the files of the mounted Secret.
func readSecretEnv(graph workflow.Graph, directory string) error {
	entries, err := os.ReadDir(directory)
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
		value, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return fmt.Errorf("read the secret environment: %w", err)
		}
		graph.SetSecretEnv(step, variable, string(value))
	}
	return nil
}

// Run executes the run until it has ended. That is not an error, whatever the status of the run, which is written to the record. An error
// means that another pod should try. If the record is gone or names another engine, there is nothing to do.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.runToEnd(ctx); err != nil {
		return err
	}
	e.revokePermissions(ctx)
	return nil
}

// revokePermissions deletes the binding of the service account that was created for this engine, because it is not needed any more. Without that, the service
// account would have its permissions until the run is destroyed.
func (e *Engine) revokePermissions(ctx context.Context) {
	if e.config.Account == "" {
		return
	}
	binding := jobspec.BuildEngineAccount(e.spec.Ref(), e.config.Account, metav1.OwnerReference{}).Binding
	if err := e.clients.Kube.Retry(ctx, func() error { return e.clients.Kube.Delete(ctx, binding) }); err != nil && !apierrors.IsNotFound(err) {
		e.options.Observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: fmt.Sprintf("delete %s, which is not needed any more: %v", kube.Describe(binding), err)})
	}
}

func (e *Engine) runToEnd(ctx context.Context) error {
	isOurs, err := e.waitForLease(ctx)
	if err != nil || !isOurs {
		return err
	}
	lease, err := engine.Acquire(ctx, e.spec, e.clients.Kube, e.options)
	if err != nil {
		return err
	}
	options := e.options
	options.Observe = noteProblems(lease, e.options.Observe)
	limited, done := context.WithDeadlineCause(ctx, lease.Deadline(), errPastDeadline)
	defer done()
	held, stopRenewing := lease.StartRenewing(limited)
	outcome, err := e.executeRun(held, lease, options)
	stopRenewing()
	if workflow.IsLost(err) {
		e.options.Observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()})
		return nil // another process executes the run, or it was deleted
	}
	status := outcome.Status(err)
	isFinal := err == nil || isTerminal(err)
	switch {
	case !isFinal:
		status, outcome.Problem = workflow.RunRunning, err.Error() // for the next pod, and for a refresh in the meantime
	case err != nil:
		outcome.Problem = err.Error()
	case outcome.Problem != "":
		status = workflow.RunStopped
	}
	if releaseErr := lease.Release(ctx, record.Final{Status: status, Outcome: &outcome}); releaseErr != nil {
		return releaseErr
	}
	if isFinal {
		return nil
	}
	return err
}

// noteProblems returns an observer that also lets the record show what the run waits for, until it continues.
func noteProblems(lease *record.Lease, next workflow.Observer) workflow.Observer {
	return func(event workflow.Event) {
		next.Report(event)
		switch event.Kind {
		case workflow.RunWaits:
			lease.SetProblem("the run waits " + event.Detail)
		case workflow.RunContinues:
			lease.SetProblem("")
		default: // the cluster shows what steps wait for
		}
	}
}

// isTerminal reports whether another pod would get the same error, because it has the same image, credential, namespace and deadline.
func isTerminal(err error) bool {
	var gone *workflow.NamespaceGoneError
	var version *agent.VersionError
	return errors.As(err, &version) || errors.Is(err, errPastDeadline) || errors.As(err, &gone) || errors.Is(err, files.ErrPassword) || errors.Is(err, files.ErrForbidden)
}

// waitForLease waits while the process that created this engine still holds the lease. If that process was killed before it could release the lease, this
// engine takes over when the lease has expired, unless another process has acquired it before. It reports whether this engine has to execute the run, which
// has not ended.
func (e *Engine) waitForLease(ctx context.Context) (isOurs bool, err error) {
	var seen record.Observation
	err = kube.PollUntilCanceled(ctx, leaseInterval, true, func(ctx context.Context) (bool, error) {
		found, err := record.Read(ctx, e.clients.Kube, e.spec.Ref())
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if found.Engine() == e.options.Holder.Engine {
			isOurs = found.Status() == workflow.RunRunning
			return true, nil
		}
		if found.Engine() != "" || !found.IsHeld() || engineJobName(e.spec.ID, found.Transitions()) != e.options.Holder.Engine {
			return true, nil
		}
		isOurs = seen.HasExpired(found)
		return isOurs, nil
	})
	return isOurs, err
}

// executeRun executes the run and keeps its outputs.
func (e *Engine) executeRun(ctx context.Context, lease *record.Lease, options engine.Options) (outcome workflow.Outcome, err error) {
	if err := agent.CheckVersion("engine", e.spec.Version); err != nil {
		return outcome, err
	}
	execution, err := engine.Resume(ctx, lease, e.spec, e.clients, options, e.config.Prepared)
	if err != nil {
		return outcome, err
	}
	if outcome.Result, err = execution.Run(ctx); err != nil || len(outcome.Failures) > 0 {
		return outcome, err
	}
	paths, err := readOutputPaths(ctx, e.clients.Kube, e.spec.Ref())
	if err != nil || len(paths) == 0 {
		return outcome, err
	}
	outcome.Outputs, _, err = execution.Results().TakeOutputs(ctx, outcome.Result, paths, 0)
	if err != nil && isPermanent(err) {
		outcome.Problem, err = err.Error(), nil
	}
	return outcome, err
}

// isPermanent reports whether the outputs will be missing at another attempt as well.
func isPermanent(err error) bool {
	var missing *files.MissingError
	var conflict *files.ConflictError
	return errors.As(err, &missing) || errors.As(err, &conflict) || errors.Is(err, files.ErrGone) || errors.Is(err, files.ErrCorrupt)
}
