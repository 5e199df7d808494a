package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Fields of the run's meta key in Redis.
const (
	metaPlace   = "place"
	metaCreated = "created"
)

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
		return &workflow.RunExistsElsewhereError{Run: r.ID, Place: place}
	}
	return nil
}

// placeMeta returns the fields that checkPlace reads the next time.
func (r *Run) placeMeta() map[string]string {
	return map[string]string{metaPlace: r.place(), metaCreated: time.Now().UTC().Format(time.RFC3339)}
}
