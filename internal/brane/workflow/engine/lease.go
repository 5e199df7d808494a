package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Only the process that holds the lease on a run executes it. The holder renews the lease three times in its duration; if the holder was killed, another process takes
// over when the lease has expired. Clocks are not compared: a lease has expired if the waiting process has not seen it change for its duration.
const (
	defaultLease = 30 * time.Second
	leaseLook    = time.Second
)

// leases returns the duration of a lease on this run.
func (r *Run) leases() time.Duration {
	if r.leaseTime > 0 {
		return r.leaseTime
	}
	return defaultLease
}

// Keys of the lease in the run object.
const (
	holderKey  = "holder"  // the process that executes the run, for display; empty if there is none
	leaseKey   = "lease"   // distinguishes two holders of the same name
	renewedKey = "renewed" // by the clock of the holder
	termKey    = "term"    // how often the lease was acquired
	// executionKey is the execution that owns the run: an older execution must not delete it. See [Run].
	executionKey = "execution"
)

// leaseView is the lease in the run object. Two views are equal if the lease was not changed between them.
type leaseView struct{ holder, id, renewed string }

func viewLease(object *corev1.ConfigMap) leaseView {
	return leaseView{object.Data[holderKey], object.Data[leaseKey], object.Data[renewedKey]}
}

// until returns when the lease expires by the clock of its holder; the zero time if that cannot be read.
func (v leaseView) until(leaseTime time.Duration) time.Time {
	renewed, err := time.Parse(time.RFC3339, v.renewed)
	if err != nil {
		return time.Time{}
	}
	return renewed.Add(leaseTime)
}

// lease is the lease on a run, which allows to execute it.
type lease struct {
	run  *Run
	id   string
	term int // 1 for the first holder

	mu      sync.Mutex // guards object and renewed
	object  *corev1.ConfigMap
	renewed time.Time // by the wall clock, which continues while a machine sleeps
}

// acquire creates the run object, or takes over that of an earlier apply. If its lease is held, acquire waits until the lease has expired, and fails with a
// [HeldError] if it is renewed instead.
func (r *Run) acquire(ctx context.Context) (*lease, error) {
	l := &lease{run: r, id: r.LeaseID}
	if l.id == "" {
		l.id = rand.Text()
	}
	var first leaseView
	var since time.Time
	err := pollUntilCanceled(ctx, leaseLook, true, func(ctx context.Context) (bool, error) {
		object, made, err := r.record(ctx, l.sign)
		if err != nil {
			return false, err
		}
		if made {
			return true, l.holds(object)
		}
		switch found := viewLease(object); {
		case found.id == "", found.id == l.id, found == first && time.Since(since) >= r.leases():
			l.sign(object)
			err := r.Kube.Update(ctx, object)
			if err == nil {
				return true, l.holds(object)
			}
			if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // otherwise another process was faster: look again
				return false, fmt.Errorf("acquire the lease of run %q, %s: %w", r.ID, kube.Describe(object), err)
			}
		case found.id != first.id:
			first, since = found, time.Now()
			r.observe(workflow.Event{Kind: workflow.RunWaits, Detail: fmt.Sprintf("%s holds its lease until %s", found.holder, found.until(r.leases()).Format(time.RFC3339))})
		case found != first:
			return false, &workflow.HeldError{Run: r.ID, Holder: found.holder, Until: found.until(r.leases()), Renewed: r.leases() / 3}
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// sign enters this holder into the object.
func (l *lease) sign(object *corev1.ConfigMap) {
	term, _ := strconv.Atoi(object.Data[termKey]) // a new object has none
	l.term = term + 1
	object.Data[holderKey], object.Data[leaseKey], object.Data[termKey] = l.run.Holder, l.id, strconv.Itoa(l.term)
	object.Data[renewedKey] = time.Now().UTC().Format(time.RFC3339Nano)
	for _, key := range []string{statusKey, outcomeKey, engineKey} {
		delete(object.Data, key)
	}
	if l.run.engine != "" {
		object.Data[engineKey] = l.run.engine
	}
	if l.run.Execution != "" {
		object.Data[executionKey] = l.run.Execution
	}
}

// holds stores the object that the server has returned.
func (l *lease) holds(object *corev1.ConfigMap) (err error) {
	l.object, l.renewed = object, time.Now().Round(0)
	l.run.deadline, err = time.Parse(time.RFC3339, object.Data[deadlineKey])
	if err != nil {
		return fmt.Errorf("read the deadline in %s: %w", kube.Describe(object), err)
	}
	return nil
}

func (l *lease) owner() metav1.OwnerReference {
	l.mu.Lock()
	defer l.mu.Unlock()
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: l.object.Name, UID: l.object.UID}
}

// hold renews the lease until the returned function is called, which waits for that to end. The returned context ends with a [LostError] or a [RecordGoneError] if
// the run does not belong to this process any more.
func (l *lease) hold(ctx context.Context) (held context.Context, done func()) {
	held, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = pollUntilCanceled(held, l.run.leases()/3, false, func(ctx context.Context) (bool, error) {
			// If the API server does not answer, the watches report it, and no other process can acquire the lease in the meantime.
			if err := l.renew(ctx); workflow.IsLost(err) {
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

// renew renews the lease.
func (l *lease) renew(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(ctx, map[string]string{renewedKey: time.Now().UTC().Format(time.RFC3339Nano)})
}

// write changes the run object if this process still holds the lease.
func (l *lease) write(ctx context.Context, data map[string]string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		object := l.object.DeepCopy()
		maps.Copy(object.Data, data)
		began := time.Now().Round(0)
		err := l.run.Kube.Update(ctx, object)
		if err == nil {
			l.object, l.renewed = object, began
			return nil
		}
		conflict := err
		if apierrors.IsConflict(err) { // the object has changed, or the answer to the last write was lost
			err = l.run.Kube.Get(ctx, object)
		}
		switch {
		case apierrors.IsNotFound(err):
			return &workflow.RecordGoneError{Run: l.run.ID, Namespace: l.run.Namespace}
		case err != nil:
			return fmt.Errorf("renew the lease of run %q, %s: %w", l.run.ID, kube.Describe(object), err)
		case object.DeletionTimestamp != nil:
			return &workflow.RecordGoneError{Run: l.run.ID, Namespace: l.run.Namespace}
		case object.Data[leaseKey] != l.id:
			return &workflow.LostError{Run: l.run.ID, Holder: object.Data[holderKey]}
		}
		l.object = object
		return conflict
	})
}

// check checks that this process still holds the lease before it creates an object, because the process may have been suspended together with its machine.
func (l *lease) check(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Round(0).Sub(l.renewed) < l.run.leases() {
		return nil
	}
	return l.write(ctx, map[string]string{renewedKey: time.Now().UTC().Format(time.RFC3339Nano)})
}

// release releases the lease, so that the next process does not have to wait, and writes the status of the run and more data. This has to happen after Ctrl-C as
// well, so it has a separate short timeout.
func (l *lease) release(ctx context.Context, status workflow.RunStatus, notes map[string]string) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer done()
	l.mu.Lock()
	defer l.mu.Unlock()
	data := map[string]string{holderKey: "", leaseKey: "", renewedKey: "", statusKey: string(status)}
	maps.Copy(data, notes)
	if err := l.write(ctx, data); err != nil && !workflow.IsLost(err) {
		l.run.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error()}) // it expires by itself
	}
}

// pollUntilCanceled is wait.PollUntilContextCancel, but its error contains the reason why the context ended.
func pollUntilCanceled(ctx context.Context, interval time.Duration, immediate bool, condition wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextCancel(ctx, interval, immediate, condition)
	if cause := context.Cause(ctx); errors.Is(err, ctx.Err()) && !errors.Is(err, cause) {
		return cause
	}
	return err
}
