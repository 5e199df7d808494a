package workflow

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
)

// The lease on a run: whoever has it carries the run on, and nobody else does. A holder renews it three times in its duration; one that was killed is
// followed when it has passed. Clocks are not compared: a holder is dead when its lease has not changed for as long as it lasts while somebody looked.
const (
	defaultLease = 30 * time.Second
	leaseLook    = time.Second
)

// leases is how long a lease on this run lasts.
func (r *Run) leases() time.Duration {
	if r.leaseTime > 0 {
		return r.leaseTime
	}
	return defaultLease
}

// What the run object says of its lease.
const (
	holderKey  = "holder"  // who carries the run on, for people; empty where nobody does
	leaseKey   = "lease"   // tells two holders of the same name apart
	renewedKey = "renewed" // by the holder's clock
	termKey    = "term"    // how often the lease was taken
	// executionKey is whose run this is now: an older execution must not delete it. See [Run].
	executionKey = "execution"
)

// HeldError says that another process is carrying the run on.
type HeldError struct {
	Run, Holder string
	Until       time.Time     // when its lease ends, should it not be renewed again
	Renewed     time.Duration // every which it is
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("run %q is locked by %s; its lease lasts until %s and is renewed every %s", e.Run, e.Holder, e.Until.Format(time.RFC3339), e.Renewed)
}

// LostError says that another process has taken the run over, because this one did not renew its lease in time.
type LostError struct{ Run, Holder string }

func (e *LostError) Error() string {
	return fmt.Sprintf("run %q was taken over by %s, because this process had not renewed its lease in time", e.Run, e.Holder)
}

// RecordGoneError says that the run object was deleted during the run: somebody has destroyed the run.
type RecordGoneError struct{ Run, Namespace string }

func (e *RecordGoneError) Error() string {
	return fmt.Sprintf("the record of run %q in namespace %q was deleted during the run", e.Run, e.Namespace)
}

// leaseView is a lease as the run object has it. Two views are equal when nobody has touched the lease between them.
type leaseView struct{ holder, id, renewed string }

func viewLease(object *corev1.ConfigMap) leaseView {
	return leaseView{object.Data[holderKey], object.Data[leaseKey], object.Data[renewedKey]}
}

// until is when the lease ends by its holder's clock; the zero time where that cannot be read.
func (v leaseView) until(leaseTime time.Duration) time.Time {
	renewed, err := time.Parse(time.RFC3339, v.renewed)
	if err != nil {
		return time.Time{}
	}
	return renewed.Add(leaseTime)
}

// lease is the right to carry a run on.
type lease struct {
	run  *Run
	id   string
	term int // the first holder's is 1

	mu      sync.Mutex // guards object and renewed
	object  *corev1.ConfigMap
	renewed time.Time // by the wall clock, which goes on while a machine sleeps
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
			r.observe(Event{Kind: RunWaits, Detail: fmt.Sprintf("%s holds its lease until %s", found.holder, found.until(r.leases()).Format(time.RFC3339))})
		case found != first:
			return false, &HeldError{Run: r.ID, Holder: found.holder, Until: found.until(r.leases()), Renewed: r.leases() / 3}
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// sign writes this holder into the object.
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

// holds takes over the object as the server has it.
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

// hold renews the lease until the function that it returns is called, which waits for the end of that. The context it returns ends with a [LostError] or a
// [RecordGoneError] when the run is somebody else's from then on.
func (l *lease) hold(ctx context.Context) (held context.Context, done func()) {
	held, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = pollUntilCanceled(held, l.run.leases()/3, false, func(ctx context.Context) (bool, error) {
			// If the API server is away, the watches report it, and no other process can take the lease meanwhile.
			if err := l.renew(ctx); gone(err) {
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

// renew says that we are still there.
func (l *lease) renew(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(ctx, map[string]string{renewedKey: time.Now().UTC().Format(time.RFC3339Nano)})
}

// write changes the run object, which must still be ours.
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
		if apierrors.IsConflict(err) { // it has changed; or our own last write arrived, but its answer did not
			err = l.run.Kube.Get(ctx, object)
		}
		switch {
		case apierrors.IsNotFound(err):
			return &RecordGoneError{l.run.ID, l.run.Namespace}
		case err != nil:
			return fmt.Errorf("renew the lease of run %q, %s: %w", l.run.ID, kube.Describe(object), err)
		case object.DeletionTimestamp != nil:
			return &RecordGoneError{l.run.ID, l.run.Namespace}
		case object.Data[leaseKey] != l.id:
			return &LostError{l.run.ID, object.Data[holderKey]}
		}
		l.object = object
		return conflict
	})
}

// check makes sure that the lease is still ours, before anything is made: this process may have been stopped for long, with its machine.
func (l *lease) check(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Round(0).Sub(l.renewed) < l.run.leases() {
		return nil
	}
	return l.write(ctx, map[string]string{renewedKey: time.Now().UTC().Format(time.RFC3339Nano)})
}

// release lets the next one begin at once, and says how the run stands, and what else there is to note. It is what must happen after Ctrl-C too, so it has a
// short time of its own.
func (l *lease) release(ctx context.Context, status RunStatus, notes map[string]string) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer done()
	l.mu.Lock()
	defer l.mu.Unlock()
	data := map[string]string{holderKey: "", leaseKey: "", renewedKey: "", statusKey: string(status)}
	maps.Copy(data, notes)
	if err := l.write(ctx, data); err != nil && !gone(err) {
		l.run.observe(Event{Kind: RunDisturbed, Detail: err.Error()}) // it expires by itself
	}
}

// gone says whether an error means that the run is not ours any more, so that nothing of it may be touched.
func gone(err error) bool {
	var lost *LostError
	var deleted *RecordGoneError
	return errors.As(err, &lost) || errors.As(err, &deleted)
}

// pollUntilCanceled is wait.PollUntilContextCancel, but its error names the reason why the context ended.
func pollUntilCanceled(ctx context.Context, interval time.Duration, immediate bool, condition wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextCancel(ctx, interval, immediate, condition)
	if cause := context.Cause(ctx); errors.Is(err, ctx.Err()) && !errors.Is(err, cause) {
		return cause
	}
	return err
}
