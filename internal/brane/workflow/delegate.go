package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// A run can be carried on inside the cluster, by an [Engine] in a Job of its own. This file is the side of those who start it and ask how it stands; what the
// two sides tell each other stands in the run object, which outlives the files of the run.
const (
	engineKey  = "engine"  // of the run object: the Job whose pod carries the run on, or has; none where no engine does
	outcomeKey = "outcome" // of the run object: an Outcome, as the engine leaves it
)

// AccountError says that a run's credential is none that a pod in its namespace can have.
type AccountError struct{ User, Namespace string }

func (e *AccountError) Error() string {
	return fmt.Sprintf("the registered credential is that of %q, which is no service account in namespace %q", e.User, e.Namespace)
}

// account is the service account by which this process submits, and by which an engine will.
func (r *Run) account(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := r.Kube.Create(ctx, review); err != nil {
		return "", fmt.Errorf("ask the cluster at %s who the registered credential is: %w", r.Kube.Host(), err)
	}
	user := review.Status.UserInfo.Username
	name, found := strings.CutPrefix(user, "system:serviceaccount:"+r.Namespace+":")
	if !found {
		return "", &AccountError{user, r.Namespace}
	}
	return name, nil
}

// Delegate prepares the run as Execute does, and makes the Job that carries it on inside the cluster. Outputs are the paths that are kept at its end. Where an
// engine carries the run on already, because whoever started it was killed, it goes on with the run, which is this execution's from then on.
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
	if gone(err) {
		return err
	}
	if err != nil {
		lease.release(ctx, RunStopped, nil)
		return err
	}
	// From here on the engine can take the lease.
	lease.release(ctx, RunRunning, map[string]string{engineKey: engine})
	return nil
}

// install makes all that the engine needs, and the engine.
func (r *Run) install(ctx context.Context, lease *lease, account string, outputs []string) (engine string, err error) {
	if _, err := r.prepare(ctx, lease); err != nil {
		return "", err
	}
	text, err := orders{Run: r.ID, Namespace: r.Namespace, Location: r.Location, Registry: r.Registry, AgentImage: r.AgentImage, Users: r.Users, Grace: r.Grace, Parallel: r.Parallel, StartAhead: r.StartAhead, Steps: r.Graph.All(), Outputs: outputs}.encode()
	if err != nil {
		return "", err
	}
	object := r.ordersObject()
	object.OwnerReferences = append(object.OwnerReferences, lease.owner())
	object.Data = map[string]string{ordersFile: text}
	err = r.Kube.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		err = r.Kube.Update(ctx, object) // of an engine that has ended
	}
	if err != nil {
		return "", fmt.Errorf("tell the engine of run %q what to do, %s: %w", r.ID, kube.Describe(object), err)
	}
	// The engine sees to the run's Redis user, as this process would: the credential of that user is not enough for it.
	if err := r.putAccess(ctx, r.ordersName(), r.RedisURL, lease.owner()); err != nil {
		return "", err
	}
	job := r.engineJob(objectName("brane", r.ID, "engine", strconv.Itoa(lease.term)), account, lease.owner())
	if err := r.Kube.Create(ctx, job); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("make the engine of run %q, %s: %w", r.ID, kube.Describe(job), err)
	}
	return job.Name, nil
}

// Adopt takes over a run that an engine carries on: it is this execution's from then on, and the engine keeps these outputs. It answers whether there was one.
func (r *Run) Adopt(ctx context.Context, outputs []string) (bool, error) {
	for {
		record := &corev1.ConfigMap{ObjectMeta: r.meta()}
		err := r.Kube.Get(ctx, record)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("see who carries run %q on, %s: %w", r.ID, kube.Describe(record), err)
		}
		if found, err := r.delegated(ctx, record); err != nil || record.Data[engineKey] == "" || found.Status != RunRunning {
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

// Declare tells the engine which outputs to keep at the end of the run. It needs no more of a Run than ID, Namespace and Kube.
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
		return fmt.Errorf("tell the engine of run %q which outputs to keep, %s: %w", r.ID, kube.Describe(object), err)
	}
	return nil
}

// Delegated is how a run stands that an engine carries on, or has.
type Delegated struct {
	Status RunStatus
	Outcome
}

// Reason is why a run has stopped, for people.
func (d Delegated) Reason() string {
	if d.Problem == "" {
		return "it was not carried to its end"
	}
	return d.Problem
}

// Look asks how a delegated run stands. A run that nobody carries on any more is stopped, and its problem says why. It needs no more of a Run than ID,
// Namespace and Kube.
func (r *Run) Look(ctx context.Context) (Delegated, error) {
	record := &corev1.ConfigMap{ObjectMeta: r.meta()}
	err := r.Kube.Get(ctx, record)
	if apierrors.IsNotFound(err) {
		return Delegated{Status: RunStopped, Outcome: Outcome{Problem: fmt.Sprintf("its record, %s, is gone", kube.Describe(record))}}, nil
	}
	if err != nil {
		return Delegated{}, fmt.Errorf("see how run %q stands, %s: %w", r.ID, kube.Describe(record), err)
	}
	return r.delegated(ctx, record)
}

// delegated reads the run object. While that says that the run goes on, the engine's Job must be there.
func (r *Run) delegated(ctx context.Context, record *corev1.ConfigMap) (Delegated, error) {
	for again := false; ; again = true {
		found := Delegated{Status: RunStatus(record.Data[statusKey])}
		if found.Status == "" {
			found.Status = RunRunning
		}
		if text := record.Data[outcomeKey]; text != "" {
			if err := json.Unmarshal([]byte(text), &found.Outcome); err != nil {
				return found, fmt.Errorf("read the outcome of run %q in %s: %w", r.ID, kube.Describe(record), err)
			}
		}
		name := record.Data[engineKey]
		if found.Status != RunRunning || name == "" {
			return found, nil
		}
		problem, isLost, err := r.engineProblem(ctx, name)
		if isLost || found.Problem == "" { // what the engine itself has said last is nearer to the cause
			found.Problem = problem
		}
		if err != nil || !isLost {
			return found, err
		}
		if again {
			found.Status = RunStopped
			return found, nil
		}
		// It may have written its outcome after we had read the record.
		if err := r.Kube.Get(ctx, record); err != nil {
			return found, fmt.Errorf("see how run %q stands, %s: %w", r.ID, kube.Describe(record), err)
		}
	}
}

// engineProblem says what is the matter with an engine, empty where nothing is, and whether it is lost: then it will not carry its run on.
func (r *Run) engineProblem(ctx context.Context, name string) (problem string, isLost bool, err error) {
	job := &batchv1.Job{}
	job.Namespace, job.Name = r.Namespace, name
	err = r.Kube.Get(ctx, job)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("its engine, %s, is gone", kube.Describe(job)), true, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("see whether the engine of run %q runs, %s: %w", r.ID, kube.Describe(job), err)
	}
	see := fmt.Sprintf("to see why: kubectl -n %s logs job/%s", r.Namespace, name)
	if condition, failed := jobFailed(job); failed {
		return fmt.Sprintf("its engine, %s, has given up (%s: %s); %s", kube.Describe(job), condition.Reason, strings.TrimSuffix(condition.Message, "."), see), true, nil
	}
	if job.Status.CompletionTime != nil {
		return fmt.Sprintf("its engine, %s, has ended without an outcome; %s", kube.Describe(job), see), true, nil
	}
	if job.Status.Failed > 0 && job.Status.Ready != nil && *job.Status.Ready == 0 {
		return fmt.Sprintf("its engine, %s, has failed %d times; %s", kube.Describe(job), job.Status.Failed, see), false, nil
	}
	return "", false, nil
}

// awaitLook is how often a run is asked for that somebody waits for.
const awaitLook = time.Second

// Await waits until a delegated run does not go on any more.
func (r *Run) Await(ctx context.Context) (Delegated, error) {
	for {
		found, err := r.Look(ctx)
		if err == nil && found.Status != RunRunning {
			return found, nil
		}
		if err != nil && !passing(err) {
			return Delegated{}, err
		}
		if err != nil {
			r.observe(Event{Kind: RunDisturbed, Detail: err.Error()})
		}
		if err := sleep(ctx, awaitLook); err != nil {
			return Delegated{}, err
		}
	}
}

// Recount completes a result with what the commits say: which steps are committed by now, and what calls of packages gave. It needs no more of a Run than ID,
// Graph and Redis.
func (r *Run) Recount(ctx context.Context, result *Result) error {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return err
	}
	records, err := store.Commits(ctx, r.Graph.order)
	if err != nil {
		return fmt.Errorf("read the commits of run %q: %w", r.ID, err)
	}
	if result.Steps == nil {
		result.Steps = map[string]StepResult{}
	}
	for name, record := range records {
		result.Steps[name] = succeeded(r.Graph.steps[name], record)
	}
	return result.count(ctx, store, r.Graph)
}

// deleteEngines ends the engines of a run, before all else of it is deleted: one that goes on would make what was just deleted.
func (r *Run) deleteEngines(ctx context.Context) error {
	labels := RunLabel + "=" + r.ID + "," + EngineLabel
	var jobs batchv1.JobList
	if err := r.Kube.List(ctx, &jobs, r.Namespace, labels); err != nil {
		return fmt.Errorf("list the engines of run %q in namespace %q: %w", r.ID, r.Namespace, err)
	}
	var problems []error
	for i := range jobs.Items {
		if err := r.Kube.Delete(ctx, &jobs.Items[i]); err != nil && !apierrors.IsNotFound(err) {
			problems = append(problems, fmt.Errorf("delete %s: %w", kube.Describe(&jobs.Items[i]), err))
		}
	}
	if len(jobs.Items) == 0 || len(problems) > 0 {
		return errors.Join(problems...)
	}
	orders := r.ordersObject()
	for _, object := range []kube.Object{orders, &corev1.Secret{ObjectMeta: orders.ObjectMeta}} {
		if err := r.Kube.Delete(ctx, object); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
		}
	}
	return r.waitForPods(ctx, labels, anyPod)
}
