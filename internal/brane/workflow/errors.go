package workflow

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// AccountError reports that no service account can be created for an engine, which needs one because the Jobs are not submitted by a service account of the
// namespace.
type AccountError struct {
	Run string
	Err error
}

func (e *AccountError) Error() string {
	return fmt.Sprintf("create the service account for the engine of run %q: %v", e.Run, e.Err)
}

func (e *AccountError) Unwrap() error { return e.Err }

// MissingNamespaceError reports that the namespace of a run does not exist.
type MissingNamespaceError struct{ Run, Namespace string }

func (e *MissingNamespaceError) Error() string {
	return fmt.Sprintf("start run %q: namespace %q does not exist", e.Run, e.Namespace)
}

// Remedy returns what to do about it.
func (e *MissingNamespaceError) Remedy() string {
	return fmt.Sprintf("Create it with a brane_namespace, and refer to the name of that resource in the run, so that it is created first. Or create it with kubectl create namespace %s.", e.Namespace)
}

// NotStartedError reports that a run was neither started nor continued. Steps of an earlier execution may be running.
type NotStartedError struct {
	Err     error
	IsOwner bool // the execution owns the run nevertheless
}

func (e *NotStartedError) Error() string { return e.Err.Error() }

func (e *NotStartedError) Unwrap() error { return e.Err }

// ErrSuperseded reports that a later execution has taken over the run, so the caller must not delete it.
var ErrSuperseded = errors.New("a later execution has taken over the run")

// NamespaceGoneError reports that the namespace was deleted during the run, and all objects of the run with it.
type NamespaceGoneError struct{ Run, Namespace string }

func (e *NamespaceGoneError) Error() string {
	return fmt.Sprintf("namespace %q was deleted while run %q was running in it, and the Jobs of the run with it", e.Namespace, e.Run)
}

// HeldError reports that another process executes the run.
type HeldError struct {
	Run, Holder string
	Until       time.Time     // when its lease expires if it is not renewed
	Renewed     time.Duration // the interval of renewals
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("run %q is locked by %s; its lease lasts until %s and is renewed every %s", e.Run, e.Holder, e.Until.Format(time.RFC3339), e.Renewed)
}

// LostError reports that another process has taken over the run, because this one did not renew its lease in time. Holder is empty if that
// process has ended and released the lease.
type LostError struct{ Run, Holder string }

func (e *LostError) Error() string {
	holder := cmp.Or(e.Holder, "another process, which has ended")
	return fmt.Sprintf("run %q was taken over by %s, because this process had not renewed its lease in time", e.Run, holder)
}

// RecordGoneError reports that the run object was deleted during the run, because the run was destroyed.
type RecordGoneError struct{ Run, Namespace string }

func (e *RecordGoneError) Error() string {
	return fmt.Sprintf("the record of run %q in namespace %q was deleted during the run", e.Run, e.Namespace)
}

// StepsContinueError reports that an execution has ended for this reason, and has left the running steps as they are. The next execution
// resumes them.
type StepsContinueError struct{ Err error }

func (e *StepsContinueError) Error() string { return e.Err.Error() }
func (e *StepsContinueError) Unwrap() error { return e.Err }

// NotStoppedError reports that a run ends with an error, and that its running steps could not be stopped.
type NotStoppedError struct{ Err, Stop error }

func (e *NotStoppedError) Error() string {
	return fmt.Sprintf("%v; its running steps may continue, because stopping them failed: %v", e.Err, e.Stop)
}
func (e *NotStoppedError) Unwrap() error { return e.Err }

// IsLost reports whether an error means that the run does not belong to this process any more, so that its objects must not be changed.
func IsLost(err error) bool {
	var lost *LostError
	var deleted *RecordGoneError
	return errors.As(err, &lost) || errors.As(err, &deleted)
}
