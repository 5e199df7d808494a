// Package detached executes runs inside the cluster, by an engine in a separate Job. It has both sides: the process that starts an engine,
// reads the status of the run and waits for its end, and the engine itself. They communicate through the record of the run, which outlives
// the files of the run.
package detached

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// Start prepares a run like [engine.Execute], and creates the Job that executes it inside the cluster. Outputs are the paths that are kept
// at its end. If an engine executes the run already with the same configuration, because the process that started it was killed, it continues, and
// the run belongs to this execution from then on. An engine with another configuration is replaced; the Jobs of its steps continue if they are still
// of use. The error is a [workflow.NotStartedError] if the run does not belong to this execution.
func Start(ctx context.Context, spec *workflow.Spec, clients engine.Clients, options engine.Options, outputs []string) error {
	account := spec.Engine.ServiceAccountName
	if account == "" {
		var err error
		if account, err = findServiceAccount(ctx, clients.Kube, spec.Namespace); err != nil {
			return &workflow.NotStartedError{Err: err}
		}
	}
	// Nothing may be created for a run that cannot start.
	resources, err := engine.ReadPolicies(ctx, spec.Namespace, clients).FitEngine(spec.Graph, spec.Engine.Resources)
	if err != nil {
		return &workflow.NotStartedError{Err: err}
	}
	isAdopted, err := Adopt(ctx, clients.Kube, spec, options.Holder, outputs)
	if isAdopted {
		return err
	}
	var lease *record.Lease
	if err == nil {
		err = engine.DeleteEngines(ctx, clients.Kube, spec.Ref())
	}
	if err == nil {
		lease, err = engine.Acquire(ctx, spec, clients.Kube, options)
	}
	if err != nil {
		return &workflow.NotStartedError{Err: err}
	}
	held, stopRenewing := lease.StartRenewing(ctx)
	name := engineJobName(spec.ID, lease.Transitions())
	err = createEngine(held, lease, spec, clients, options, enginePod{name, account, resources}, outputs)
	stopRenewing()
	if workflow.IsLost(err) {
		return err
	}
	if err != nil {
		_ = lease.Release(ctx, record.Final{Status: workflow.RunStopped}) // the first error is the cause
		return err
	}
	// From here on the engine can acquire the lease.
	return lease.Release(ctx, record.Final{Status: workflow.RunRunning, Engine: name})
}

// engineJobName returns the name of the Job of the engine that the holder of the lease creates.
func engineJobName(run string, transitions int) string {
	return workflow.ObjectName("brane", run, "engine", strconv.Itoa(transitions))
}

// findServiceAccount returns the service account with which this process submits Jobs, and with which the engine will. It is empty if that belongs to another
// namespace, or is a user.
func findServiceAccount(ctx context.Context, client *kube.Client, namespace string) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := client.Retry(ctx, func() error { return client.Create(ctx, review) }); err != nil {
		return "", fmt.Errorf("ask the cluster at %s for the user of its credential: %w", client.Host(), err)
	}
	user := review.Status.UserInfo.Username
	if name, found := strings.CutPrefix(user, "system:serviceaccount:"+namespace+":"); found {
		return name, nil
	}
	return "", nil
}

// createAccount creates the service account of an engine. What an earlier run of this ID has left is replaced.
func createAccount(ctx context.Context, client *kube.Client, account jobspec.EngineAccount) error {
	for _, object := range []kube.Object{account.Account, account.Role, account.Binding} {
		if err := client.Retry(ctx, func() error { return client.Apply(ctx, object) }); err != nil {
			return fmt.Errorf("%s: %w", kube.Describe(object), err)
		}
	}
	return nil
}

// enginePod is what the pod of an engine gets beside its configuration.
type enginePod struct {
	job       string // the name of its Job
	account   string // the service account; if it is empty, one is created
	resources corev1.ResourceRequirements
}

// createEngine creates the objects that the engine needs, and the Job of the engine.
func createEngine(
	ctx context.Context, lease *record.Lease, spec *workflow.Spec, clients engine.Clients, options engine.Options, pod enginePod, outputs []string,
) error {
	created := ""
	if pod.account == "" {
		created, pod.account = pod.job, pod.job
		if err := createAccount(ctx, clients.Kube, jobspec.BuildEngineAccount(spec.Ref(), created, lease.Owner())); err != nil {
			return &workflow.AccountError{Run: spec.ID, Err: err}
		}
	}
	execution, err := engine.Prepare(ctx, lease, spec, clients, options)
	if err != nil {
		return err
	}
	config := newEngineConfig(spec, execution.Prepared(), outputs)
	config.Account = created
	text, err := config.encodeConfig()
	if err != nil {
		return err
	}
	object := newConfigMap(spec.Ref())
	object.OwnerReferences = []metav1.OwnerReference{lease.Owner()}
	object.Data = map[string]string{jobspec.EngineConfigFile: text}
	if err := engine.CreateOrUpdate(ctx, clients.Kube, object); err != nil { // replaces that of an engine that has ended
		return fmt.Errorf("write the configuration for the engine of run %q, %s: %w", spec.ID, kube.Describe(object), err)
	}
	// The engine keeps the run's Redis user, like this process would; the credential of that user is not sufficient for that.
	meta := spec.Ref().Meta()
	secrets := jobspec.Secrets{Access: spec.Ref().EngineAccessName(lease.Term()), Env: execution.Prepared().SecretEnv}
	meta.Name, meta.OwnerReferences = secrets.Access, []metav1.OwnerReference{lease.Owner()}
	if err := engine.CreateAccessSecret(ctx, clients.Kube, spec.ID, meta, clients.RedisURL, clients.Certificates); err != nil {
		return err
	}
	job, err := jobspec.BuildEngineJob(spec, pod.job, pod.account, secrets, lease.Owner(), pod.resources)
	if err != nil {
		return err
	}
	if err := engine.CreateEngineJob(ctx, clients.Kube, spec, job, options.Observe); err != nil {
		return fmt.Errorf("create the engine of run %q, %s: %w", spec.ID, kube.Describe(job), err)
	}
	return nil
}

// Adopt takes over a run that an engine executes with the same configuration: it belongs to the execution of this holder from then on, and the engine keeps
// these outputs. It reports whether there was such a run.
func Adopt(ctx context.Context, client *kube.Client, spec *workflow.Spec, holder record.Holder, outputs []string) (bool, error) {
	ref := spec.Ref()
	for {
		found, err := record.Read(ctx, client, ref)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if status, err := readStatus(ctx, client, ref, found); err != nil || found.Engine() == "" || status.Status != workflow.RunRunning {
			return false, err
		}
		if isSame, err := hasSameConfig(ctx, client, spec); err != nil || !isSame {
			return false, err
		}
		err = found.SetExecution(ctx, client, holder)
		if apierrors.IsConflict(err) {
			continue // the engine has renewed its lease
		}
		if err != nil {
			return false, fmt.Errorf("take over run %q, %s: %w", ref.ID, record.Describe(ref), err)
		}
		return true, SetOutputs(ctx, client, ref, outputs)
	}
}
