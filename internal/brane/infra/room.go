package infra

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
)

// FullError reports that a Secret has no room for another location.
type FullError struct{ Size, Limit int }

func (e *FullError) Error() string {
	return fmt.Sprintf("the configuration files would have %d bytes, and a Secret holds at most %d; "+
		"remove locations, or keep the files in a directory (control_plane.directory), which has no limit", e.Size, e.Limit)
}

// checkSize reports files that are too large for their Secret.
func checkSize(secret *corev1.Secret) error {
	err := objectsize.Check(secret, 0)
	if tooLarge := new(objectsize.Error); errors.As(err, &tooLarge) {
		return &FullError{tooLarge.Size, tooLarge.Limit}
	}
	return err
}

// plannedSizes has the size of each location that this process has planned to register.
type plannedSizes struct {
	mu    sync.Mutex
	sizes map[string]int
}

// CheckRoom returns a [FullError] if a store has no room for a location, with all others that were passed to CheckRoom before. The kubeconfig
// may be one of about the same size. A directory has room for all.
func CheckRoom(ctx context.Context, s Store, l Location, kubeconfig []byte) error {
	store, isSecret := s.(*SecretStore)
	if !isSecret {
		return nil
	}
	found, err := store.Read(ctx)
	if err != nil {
		return fmt.Errorf("look for room in %s: %w", s, err)
	}
	added, err := registrationSize(l, kubeconfig)
	if err != nil {
		return err
	}
	store.planned.mu.Lock()
	defer store.planned.mu.Unlock()
	if store.planned.sizes == nil {
		store.planned.sizes = map[string]int{}
	}
	store.planned.sizes[l.Name] = added
	size := len(found.Infra.Bytes()) + len(found.Secrets.Bytes())
	for name, planned := range store.planned.sizes {
		if _, isRegistered := found.Infra.Location(name); !isRegistered {
			size += planned
		}
	}
	if before, err := found.Lookup(l.Name); err == nil {
		if replaced, err := registrationSize(before.Location, before.Kubeconfig); err == nil {
			size += added - replaced
		}
	}
	if size > objectsize.MaxData {
		return &FullError{size, objectsize.MaxData}
	}
	return nil
}

// registrationSize returns the size of a location and its kubeconfig in the configuration files.
func registrationSize(l Location, kubeconfig []byte) (int, error) {
	files := Files{Infra: NewInfra(), Secrets: NewSecrets()}
	if err := files.setRegistration(l, kubeconfig); err != nil {
		return 0, err
	}
	return len(files.Infra.Bytes()) + len(files.Secrets.Bytes()), nil
}
