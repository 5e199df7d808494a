package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Fields of the run's meta key in Redis.
const (
	metaPlace   = "place"
	metaCreated = "created"
)

// describeLocation returns the namespace and the cluster of the run's Jobs.
func describeLocation(spec *workflow.Spec, client *kube.Client) string {
	return fmt.Sprintf("namespace %s of the cluster at %s", spec.Namespace, cmp.Or(spec.Address, client.Host()))
}

// CheckLocation checks that the id belongs to this run, before any object of the run is created. If it does not, the error is a
// [workflow.RunExistsElsewhereError].
func CheckLocation(ctx context.Context, spec *workflow.Spec, clients Clients) error {
	meta, err := clients.Results.Files().Meta(ctx)
	if err != nil {
		return fmt.Errorf("check whether Redis has run %q: %w", spec.ID, err)
	}
	if location := meta[metaPlace]; location != "" && location != describeLocation(spec, clients.Kube) {
		return &workflow.RunExistsElsewhereError{Run: spec.ID, Place: location}
	}
	return nil
}

// formatLocation returns the fields that CheckLocation reads the next time.
func formatLocation(spec *workflow.Spec, client *kube.Client) map[string]string {
	return map[string]string{metaPlace: describeLocation(spec, client), metaCreated: time.Now().UTC().Format(time.RFC3339)}
}
