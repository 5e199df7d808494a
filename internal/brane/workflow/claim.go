package workflow

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// What the run's meta key in Redis says of it, for the next apply and for people.
const (
	metaPlace   = "place"
	metaCreated = "created"
)

// TakenError says that the id belongs to a run in another place. An id follows from the configuration alone, so two configurations with the same names, steps and
// inputs that share a Redis have the same; each would take the other's files for its own, and delete them.
type TakenError struct{ Run, Place string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("run %q exists in this Redis already, in %s; give one of the two another name or other triggers", e.Run, e.Place)
}

// place is where the run's Jobs are, whoever submits them.
func (r *Run) place() string {
	return fmt.Sprintf("namespace %s of the cluster at %s", r.Namespace, cmp.Or(r.Address, r.Kube.Host()))
}

// checkPlace makes sure that the id is ours, before anything of the run is made.
func (r *Run) checkPlace(ctx context.Context) error {
	store, err := Files(r.Redis, r.ID)
	if err != nil {
		return err
	}
	meta, err := store.Meta(ctx)
	if err != nil {
		return fmt.Errorf("check whether Redis has run %q: %w", r.ID, err)
	}
	if place := meta[metaPlace]; place != "" && place != r.place() {
		return &TakenError{Run: r.ID, Place: place}
	}
	return nil
}

// placeMeta is what checkPlace finds the next time.
func (r *Run) placeMeta() map[string]string {
	return map[string]string{metaPlace: r.place(), metaCreated: time.Now().UTC().Format(time.RFC3339)}
}
