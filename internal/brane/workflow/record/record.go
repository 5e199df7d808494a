// Package record reads and writes the record of a run: a ConfigMap with the run's lease, its status and, for a run that an engine executes
// in the cluster, the engine's Job and what it has written about the end of the run. The record owns all other objects of the run, so that
// they are deleted with it.
//
// No other package reads or writes the keys of the record. The keys of the lease have the names of the fields in coordination.k8s.io/Lease.
// There is no separate Lease, so that its release and the status are written atomically, and service accounts need no permission for
// Leases.
package record

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The keys of the record.
const (
	holderIdentity       = "holderIdentity"       // the process that executes the run; missing if there is none
	leaseDurationSeconds = "leaseDurationSeconds" // how long the lease lasts if it is not renewed
	acquireTime          = "acquireTime"          // by the clock of the holder
	renewTime            = "renewTime"            // by the clock of the holder
	leaseTransitions     = "leaseTransitions"     // how often the lease was acquired; 1 for the first holder

	deadline  = "deadline"  // when all Redis keys of the run expire, RFC 3339
	execution = "execution" // the execution that owns the run: an older one must not delete it
	replaced  = "replaced"  // the one before, if it is of the same resource: until that has the new one in its state, it may delete the run
	status    = "status"    // how the run ended; missing while it runs
	engine    = "engine"    // the Job of the engine that executes the run, or has executed it; missing if there is no engine
	outcome   = "outcome"   // what the engine has written about the run, as JSON
)

// Record is the record of a run as it was read.
type Record struct{ object *corev1.ConfigMap }

// newObject returns the ConfigMap of a run, without data.
func newObject(ref workflow.Ref) *corev1.ConfigMap { return &corev1.ConfigMap{ObjectMeta: ref.Meta()} }

// Describe returns the kind and the name of a run's record for messages.
func Describe(ref workflow.Ref) string { return kube.Describe(newObject(ref)) }

// Read reads the record of a run. If there is none, [apierrors.IsNotFound] is true for the error.
//
// [apierrors.IsNotFound]: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/errors#IsNotFound
func Read(ctx context.Context, client *kube.Client, ref workflow.Ref) (Record, error) {
	object := newObject(ref)
	if err := client.Get(ctx, object); err != nil {
		return Record{}, fmt.Errorf("read the record of run %q, %s: %w", ref.ID, kube.Describe(object), err)
	}
	return Record{object}, nil
}

// List reads the records of all runs in a namespace, or in all namespaces if it is empty, in the order of namespaces and ids.
func List(ctx context.Context, client *kube.Client, namespace string) ([]Record, error) {
	var objects corev1.ConfigMapList
	selector := fmt.Sprintf("%s=%s,%s", workflow.ManagedByLabel, workflow.ManagedBy, workflow.RunLabel)
	if err := client.List(ctx, &objects, namespace, selector); err != nil {
		return nil, fmt.Errorf("list the ConfigMaps labelled %s: %w", selector, err)
	}
	var found []Record
	for i := range objects.Items {
		// The configuration of an engine has the same labels.
		if r := (Record{&objects.Items[i]}); r.object.Name == r.Ref().ObjectName() {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b Record) int {
		return cmp.Or(strings.Compare(a.object.Namespace, b.object.Namespace), strings.Compare(a.Ref().ID, b.Ref().ID))
	})
	return found, nil
}

// Ref returns the reference to the run of the record.
func (r Record) Ref() workflow.Ref {
	return workflow.Ref{ID: r.object.Labels[workflow.RunLabel], Namespace: r.object.Namespace}
}

// Delete deletes the record of a run and, in the background, all objects that it owns.
func Delete(ctx context.Context, client *kube.Client, ref workflow.Ref) error {
	return client.Delete(ctx, newObject(ref))
}

// SetExecution makes the execution of a holder the owner of the run. The error is a conflict if the record has changed since it was read.
func (r Record) SetExecution(ctx context.Context, client *kube.Client, holder Holder) error {
	object := r.object.DeepCopy()
	setExecution(object, holder.Execution, holder.Replaces)
	return client.Update(ctx, object)
}

// setExecution writes the owner of a run, and the one that it replaces.
func setExecution(object *corev1.ConfigMap, owner, before string) {
	object.Data[execution] = owner
	delete(object.Data, replaced)
	if before != "" {
		object.Data[replaced] = before
	}
}

// Status returns how the run ended; [workflow.RunRunning] if it has not ended.
func (r Record) Status() workflow.RunStatus {
	if text := r.object.Data[status]; text != "" {
		return workflow.RunStatus(text)
	}
	return workflow.RunRunning
}

// Engine returns the name of the Job of the run's engine; empty if there is none.
func (r Record) Engine() string { return r.object.Data[engine] }

// Execution returns the execution that owns the run; it may be empty.
func (r Record) Execution() string { return r.object.Data[execution] }

// IsOwnedBy reports whether a resource with this execution in its state owns the run. Every resource owns a run without an owner in its record.
func (r Record) IsOwnedBy(id string) bool {
	owner := r.Execution()
	return owner == "" || id != "" && (owner == id || r.object.Data[replaced] == id)
}

// IsHeld reports whether a process holds the lease. The lease may have expired.
func (r Record) IsHeld() bool { return r.object.Data[holderIdentity] != "" }

// Transitions returns how often the lease was acquired.
func (r Record) Transitions() int {
	transitions, _ := strconv.Atoi(r.object.Data[leaseTransitions]) // a holder has written it
	return transitions
}

// Observation is what a process that does not want to acquire a lease has seen of it.
type Observation struct {
	last  hold
	since time.Time
}

// HasExpired reports whether the lease in a record has a holder that does not renew it any more: it has not changed for its duration. It is called again
// and again, because clocks are not compared.
func (o *Observation) HasExpired(found Record) bool {
	if held := found.hold(); held != o.last {
		o.last, o.since = held, time.Now()
	}
	return o.last.identity != "" && time.Since(o.since) >= o.last.duration()
}

// Outcome returns what the engine has written about the run; it is empty if there is nothing.
func (r Record) Outcome() (found workflow.Outcome, err error) {
	text := r.object.Data[outcome]
	if text == "" {
		return found, nil
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return found, fmt.Errorf("read the outcome in %s: %w", kube.Describe(r.object), err)
	}
	return found, nil
}

// deadline returns when all Redis keys of the run expire.
func (r Record) deadline() (time.Time, error) {
	at, err := time.Parse(time.RFC3339, r.object.Data[deadline])
	if err != nil {
		return at, fmt.Errorf("read the deadline in %s: %w", kube.Describe(r.object), err)
	}
	return at, nil
}

// owner returns the reference for objects that are deleted together with the record.
func (r Record) owner() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: r.object.Name, UID: r.object.UID}
}

// hold is the lease in a record. Two values are equal if the lease was not changed between them.
type hold struct{ identity, renewed, seconds string }

func (r Record) hold() hold {
	return hold{r.object.Data[holderIdentity], r.object.Data[renewTime], r.object.Data[leaseDurationSeconds]}
}

// holder returns the name of the holder for display.
func (h hold) holder() string {
	if i := strings.LastIndexByte(h.identity, '_'); i >= 0 {
		return h.identity[:i]
	}
	return h.identity
}

// duration returns how long the lease lasts if it is not renewed.
func (h hold) duration() time.Duration {
	seconds, err := strconv.Atoi(h.seconds)
	if err != nil {
		return DefaultDuration
	}
	return time.Duration(seconds) * time.Second
}

// expiry returns when the lease expires by the clock of its holder; the zero time if that cannot be read.
func (h hold) expiry() time.Time {
	renewed, err := time.Parse(time.RFC3339, h.renewed)
	if err != nil {
		return time.Time{}
	}
	return renewed.Add(h.duration())
}
