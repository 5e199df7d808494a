package record

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Only the process that holds the lease on a run executes it. The holder renews the lease three times in its duration; if the holder was
// killed, another process takes over when the lease has expired. Clocks are not compared: a lease has expired if the waiting process has
// not seen it change for its duration. Unlike client-go's leader election, a holder does not give up when the API server is away: no other
// process can take over meanwhile, and commits still arrive through Redis.
const (
	// DefaultDuration is how long a lease lasts if it is not renewed.
	DefaultDuration = 30 * time.Second
	pollInterval    = time.Second
	releaseTimeout  = 10 * time.Second
)

// Holder is a process that acquires the lease of a run.
type Holder struct {
	Name      string        // for display: a user, a machine, a process id
	ID        string        // distinguishes two holders of the same name, and is the same for the same holder; empty means a new holder
	Execution string        // becomes the owner of the run; empty leaves the owner as it is
	Replaces  string        // the execution in the state of the same resource, which owns the run too; empty if the resource is new
	Engine    string        // the Job in which the holder executes the run; empty outside of the cluster
	Retention time.Duration // how long the keys of the run are kept in Redis, from now on; 0 leaves the deadline as it is
	Duration  time.Duration // of the lease; 0 means DefaultDuration
}

func (h Holder) identity() string { return h.Name + "_" + h.ID }

// Lease allows its holder to execute a run.
type Lease struct {
	client      *kube.Client
	ref         workflow.Ref
	holder      Holder
	observe     workflow.Observer
	until       time.Time // when the holder ends at the latest; zero if that is not limited
	deadline    time.Time
	owner       metav1.OwnerReference
	transitions int

	mu      sync.Mutex // guards object, renewed and written
	object  *corev1.ConfigMap
	renewed time.Time // by the wall clock, which continues while a machine sleeps
	written string    // the problem in the record

	problemMu sync.Mutex // guards problem; mu is held during requests
	problem   string
}

// Acquire creates the record of a run, or takes over that of an earlier holder. If its lease is held, Acquire waits until the lease has
// expired, and fails with a [workflow.HeldError] if it is renewed instead.
//
// If the holder has a retention, the deadline of the run counts from now on, and is not before the deadline of ctx.
func Acquire(ctx context.Context, client *kube.Client, ref workflow.Ref, holder Holder, observe workflow.Observer) (*Lease, error) {
	if holder.ID == "" {
		holder.ID = rand.Text()
	}
	if holder.Duration == 0 {
		holder.Duration = DefaultDuration
	}
	lease := &Lease{client: client, ref: ref, holder: holder, observe: observe}
	lease.until, _ = ctx.Deadline()
	var first hold
	var since time.Time
	err := kube.PollUntilCanceled(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		found, isNew, err := lease.createRecord(ctx)
		if err != nil {
			return false, err
		}
		if isNew {
			return true, lease.takeRecord(found)
		}
		switch held := found.hold(); {
		case held.identity == "", held.identity == holder.identity(), held == first && time.Since(since) >= held.duration():
			taken, err := lease.updateRecord(ctx, found)
			if err == nil {
				return true, lease.takeRecord(taken)
			}
			if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // otherwise another process was faster: look again
				return false, fmt.Errorf("acquire the lease of run %q, %s: %w", ref.ID, Describe(ref), err)
			}
		case held.identity != first.identity:
			first, since = held, time.Now()
			detail := fmt.Sprintf("%s holds its lease until %s", held.holder(), held.expiry().Format(time.RFC3339))
			observe.Report(workflow.Event{Kind: workflow.RunWaits, Detail: detail})
		case held != first:
			return false, &workflow.HeldError{Run: ref.ID, Holder: held.holder(), Until: held.expiry(), Renewed: held.duration() / 3}
		}
		return false, nil
	})
	if err != nil && ctx.Err() != nil && first.identity != "" {
		return nil, fmt.Errorf("wait for the lease of run %q, which %s holds until %s: %w", ref.ID, first.holder(), first.expiry().Format(time.RFC3339), err)
	}
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// createRecord creates the record with this holder, or reads the one of an earlier holder.
func (l *Lease) createRecord(ctx context.Context) (found Record, isNew bool, err error) {
	for {
		object := newObject(l.ref)
		object.Data = map[string]string{}
		l.setHolder(object)
		l.setDeadline(object, time.Now())
		if err = l.client.Retry(ctx, func() error { return l.client.Create(ctx, object) }); err == nil {
			return Record{object}, true, nil
		}
		if apierrors.IsAlreadyExists(err) {
			if err = l.client.Retry(ctx, func() error { return l.client.Get(ctx, object) }); err == nil {
				return Record{object}, false, nil
			}
			if apierrors.IsNotFound(err) {
				continue // it was deleted in the meantime
			}
		} else if apierrors.IsNotFound(err) {
			return Record{}, false, &workflow.MissingNamespaceError{Run: l.ref.ID, Namespace: l.ref.Namespace}
		}
		return Record{}, false, fmt.Errorf("create the record of run %q, %s: %w", l.ref.ID, Describe(l.ref), err)
	}
}

// updateRecord writes this holder into the record of an earlier one.
func (l *Lease) updateRecord(ctx context.Context, found Record) (Record, error) {
	object := found.object.DeepCopy()
	l.setHolder(object)
	l.setDeadline(object, time.Now())
	return Record{object}, l.client.Retry(ctx, func() error { return l.client.Update(ctx, object) })
}

// setHolder writes this holder into the data of a record, and removes what the last holder has written at its end.
func (l *Lease) setHolder(object *corev1.ConfigMap) {
	transitions, _ := strconv.Atoi(object.Data[leaseTransitions]) // a new record has none
	now := formatNow()
	maps.Copy(object.Data, map[string]string{
		holderIdentity: l.holder.identity(), leaseDurationSeconds: strconv.Itoa(int(l.holder.Duration.Seconds())),
		acquireTime: now, renewTime: now, leaseTransitions: strconv.Itoa(transitions + 1),
	})
	for _, key := range []string{status, outcome, engine} {
		delete(object.Data, key)
	}
	if l.holder.Engine != "" {
		object.Data[engine] = l.holder.Engine
	}
	if l.holder.Execution != "" {
		setExecution(object, l.holder.Execution, l.holder.Replaces)
	}
}

// setDeadline writes the deadline of a holder that has a retention.
func (l *Lease) setDeadline(object *corev1.ConfigMap, now time.Time) {
	if l.holder.Retention == 0 {
		return // takeRecord reports a value that cannot be read
	}
	renewed := now.Add(l.holder.Retention)
	if renewed.Before(l.until) {
		renewed = l.until
	}
	object.Data[deadline] = renewed.UTC().Format(time.RFC3339)
}

func formatNow() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// takeRecord completes the lease with the record that the server has stored.
func (l *Lease) takeRecord(stored Record) (err error) {
	l.object, l.renewed, l.owner = stored.object, time.Now().Round(0), stored.owner()
	l.transitions, _ = strconv.Atoi(stored.object.Data[leaseTransitions]) // setHolder has written it
	l.deadline, err = stored.deadline()
	return err
}

// Deadline returns when all Redis keys of the run expire.
func (l *Lease) Deadline() time.Time { return l.deadline }

// Owner returns the reference for objects that are deleted together with the record.
func (l *Lease) Owner() metav1.OwnerReference { return l.owner }

// Transitions returns how often the lease was acquired: 1 for the first holder.
func (l *Lease) Transitions() int { return l.transitions }

// Term names this term of the lease in names of objects. It differs from the terms of earlier records of the same run, whose objects may not be deleted yet.
func (l *Lease) Term() string {
	record, _, _ := strings.Cut(string(l.owner.UID), "-")
	return record + "-" + strconv.Itoa(l.transitions)
}

// StartRenewing renews the lease until the returned function is called, which waits for that to end. The returned context ends with a
// [workflow.LostError] or a [workflow.RecordGoneError] if the run does not belong to this process any more.
func (l *Lease) StartRenewing(ctx context.Context) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = kube.PollUntilCanceled(held, l.holder.Duration/3, false, func(ctx context.Context) (bool, error) {
			// If the API server does not answer, the watches report it, and no other process can acquire the lease in the meantime.
			if err := l.renewLease(ctx); workflow.IsLost(err) {
				cancel(err)
			}
			return false, nil
		})
	}()
	return held, func() {
		cancel(nil)
		<-ended
	}
}

func (l *Lease) renewLease(ctx context.Context) error {
	data := map[string]string{renewTime: formatNow()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if problem := l.currentProblem(); problem != l.written {
		text, err := encodeOutcome(workflow.Outcome{Problem: problem})
		if err != nil {
			return err
		}
		data[outcome] = text
		if err := l.writeData(ctx, data); err != nil {
			return err
		}
		l.written = problem
		return nil
	}
	return l.writeData(ctx, data)
}

// writeData changes the record if this process still holds the lease.
func (l *Lease) writeData(ctx context.Context, data map[string]string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		object := l.object.DeepCopy()
		maps.Copy(object.Data, data)
		began := time.Now().Round(0)
		err := l.client.Update(ctx, object)
		if err == nil {
			l.object, l.renewed = object, began
			return nil
		}
		conflict := err
		if apierrors.IsConflict(err) { // the record has changed, or the answer to the last write was lost
			err = l.client.Get(ctx, object)
		}
		switch {
		case apierrors.IsNotFound(err):
			return &workflow.RecordGoneError{Run: l.ref.ID, Namespace: l.ref.Namespace}
		case err != nil:
			return fmt.Errorf("renew the lease of run %q, %s: %w", l.ref.ID, kube.Describe(object), err)
		case object.DeletionTimestamp != nil:
			return &workflow.RecordGoneError{Run: l.ref.ID, Namespace: l.ref.Namespace}
		case object.Data[holderIdentity] != l.holder.identity():
			return &workflow.LostError{Run: l.ref.ID, Holder: Record{object}.hold().holder()}
		}
		l.object = object
		return conflict
	})
}

// Check checks that this process still holds the lease before it creates an object, because the process may have been suspended together
// with its machine.
func (l *Lease) Check(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Round(0).Sub(l.renewed) < l.holder.Duration {
		return nil
	}
	return l.writeData(ctx, map[string]string{renewTime: formatNow()})
}

// Verify checks that this process still holds the lease before it does something that affects another holder. It writes the record, which
// only the holder can. If the API server does not answer, the lease is held as long as it cannot have expired.
func (l *Lease) Verify(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.writeData(ctx, map[string]string{renewTime: formatNow()})
	if err != nil && !workflow.IsLost(err) && time.Now().Round(0).Sub(l.renewed) < l.holder.Duration {
		return nil
	}
	return err
}

// SetProblem sets why the run does not continue at the moment, for those who read its status; empty if it does. It is written with the next
// renewal, so that nothing waits for an API server that does not answer.
func (l *Lease) SetProblem(problem string) {
	l.problemMu.Lock()
	defer l.problemMu.Unlock()
	l.problem = problem
}

// currentProblem returns what SetProblem has set.
func (l *Lease) currentProblem() string {
	l.problemMu.Lock()
	defer l.problemMu.Unlock()
	return l.problem
}

// Final is what a holder writes when it releases its lease.
type Final struct {
	Status  workflow.RunStatus
	Engine  string            // the Job of the engine that executes the run from now on; empty leaves the engine as it is
	Outcome *workflow.Outcome // of an engine; may be nil
}

const (
	// mostFailures limits the failures that are written in full. The results contain every failed step.
	mostFailures = 32
	// maxOutcome leaves room for the other keys of the record.
	maxOutcome = objectsize.MaxData - 16<<10
)

// encodeOutcome encodes an outcome. One that is too large for the record is written without the results of completed steps, which readers also
// get from Redis, and then with fewer failures: those of a run have up to 8 KiB each, and more as JSON.
func encodeOutcome(o workflow.Outcome) (string, error) {
	o.Problem = workflow.Shorten(o.Problem, workflow.DetailLimit)
	for failures := mostFailures; ; failures /= 2 {
		o.Failures, o.Allowed = o.Failures[:min(len(o.Failures), failures)], o.Allowed[:min(len(o.Allowed), failures)]
		text, err := json.Marshal(o)
		if err != nil {
			return "", fmt.Errorf("encode the outcome: %w", err)
		}
		if len(text) <= maxOutcome || failures == 0 {
			return string(text), nil
		}
		o.Steps = maps.Clone(o.Steps)
		maps.DeleteFunc(o.Steps, func(_ string, step workflow.StepResult) bool { return step.Status == workflow.Succeeded })
	}
}

// Release releases the lease, so that the next process does not have to wait, and writes how the run ended. This has to happen after Ctrl-C
// as well, so it has a separate short timeout. If the record cannot be written, the lease expires by itself, but how the run ended is lost.
func (l *Lease) Release(ctx context.Context, final Final) error {
	data := map[string]string{holderIdentity: "", acquireTime: "", renewTime: "", status: string(final.Status)}
	if final.Engine != "" {
		data[engine] = final.Engine
	}
	if final.Outcome != nil {
		text, err := encodeOutcome(*final.Outcome)
		if err != nil {
			return err
		}
		data[outcome] = text
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer done()
	l.mu.Lock()
	defer l.mu.Unlock()
	// If only the answer to a write was lost, the record has no holder any more, which looks like a lost lease.
	if err := l.client.Retry(ctx, func() error { return l.writeData(ctx, data) }); err != nil && !workflow.IsLost(err) {
		return err
	}
	return nil
}
