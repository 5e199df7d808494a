package workflow

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Fields of the run's meta key in Redis.
const (
	metaPlace   = "place"
	metaCreated = "created"
)

// TakenError reports that the id belongs to a run in another namespace or cluster. The id depends on the configuration alone, so two configurations with the same
// names, steps and inputs that share a Redis have the same id, and each would use and delete the files of the other.
type TakenError struct{ Run, Place string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("run %q exists in this Redis already, in %s; give one of the two another name or other triggers", e.Run, e.Place)
}

// place returns the namespace and the cluster of the run's Jobs.
func (r *Run) place() string {
	return fmt.Sprintf("namespace %s of the cluster at %s", r.Namespace, cmp.Or(r.Address, r.Kube.Host()))
}

// checkPlace checks that the id belongs to this run, before any object of the run is created.
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

// placeMeta returns the fields that checkPlace reads the next time.
func (r *Run) placeMeta() map[string]string {
	return map[string]string{metaPlace: r.place(), metaCreated: time.Now().UTC().Format(time.RFC3339)}
}
