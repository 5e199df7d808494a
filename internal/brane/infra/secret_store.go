package infra

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// conflictBackoff allows twice as many attempts as twenty writers need if each of the others is faster once, within about 15 seconds. The jitter keeps writers
// that conflicted once from conflicting again.
var conflictBackoff = wait.Backoff{Steps: 40, Duration: 100 * time.Millisecond, Jitter: 5}

// SecretStore keeps the configuration files in one Kubernetes Secret, under the keys infra.yml and secrets.yml. Brane mounts it at /config.
type SecretStore struct {
	client          *kube.Client
	namespace, name string
	turn            chan struct{} // held by the one writer of this process; writers in other processes cause conflicts
	backoff         wait.Backoff
	cache           parseCache
	planned         plannedSizes
}

// NewSecretStore returns a store in a Secret, which the first write creates. Its namespace must exist.
func NewSecretStore(c *kube.Client, namespace, name string) *SecretStore {
	return &SecretStore{client: c, namespace: namespace, name: name, turn: make(chan struct{}, 1), backoff: conflictBackoff}
}

func (s *SecretStore) String() string { return "Secret " + s.namespace + "/" + s.name }

// Read returns both files from one version of the Secret. Unlike Update, it does not wait for an unavailable API server, so that a plan fails soon.
func (s *SecretStore) Read(ctx context.Context) (Files, error) {
	files, _, err := s.readSecret(ctx)
	return files, err
}

// Update changes the files in the version that it has read. If another writer was faster, it starts again, for about 15 seconds. It waits for an API server
// that is unavailable for a moment.
func (s *SecretStore) Update(ctx context.Context, change func(*Files) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := retry.OnError(s.backoff, isConflict, func() error { return s.tryUpdate(ctx, change) })
	if isConflict(err) {
		return fmt.Errorf("another process wrote to it during each of %d attempts: %w", s.backoff.Steps, err)
	}
	return err
}

func (s *SecretStore) tryUpdate(ctx context.Context, change func(*Files) error) error {
	var before Files
	var secret *corev1.Secret
	err := s.client.Retry(ctx, func() (err error) {
		before, secret, err = s.readSecret(ctx)
		return err
	})
	if err != nil {
		return err
	}
	after := before.cloneForEdit()
	if err := change(&after); err != nil {
		return err
	}
	changed := changedFiles(before, after)
	if len(changed) == 0 {
		return nil
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for _, w := range changed {
		secret.Data[w.name] = bytes.Clone(w.data)
	}
	if err := s.writeSecret(ctx, secret); err != nil {
		return err
	}
	s.cache.keepWritten(after, changed)
	return nil
}

// writeSecret creates or updates the Secret. If a response was lost, a conflict at the next attempt may be its own write.
func (s *SecretStore) writeSecret(ctx context.Context, secret *corev1.Secret) error {
	if err := checkSize(secret); err != nil {
		return err
	}
	put := s.client.Update
	if secret.ResourceVersion == "" {
		put = s.client.Create
	}
	lost := false
	err := s.client.Retry(ctx, func() error {
		err := put(ctx, secret)
		if lost && isConflict(err) {
			live := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}
			if problem := s.client.Get(ctx, live); problem != nil || maps.EqualFunc(live.Data, secret.Data, bytes.Equal) {
				return problem
			}
		}
		lost = err != nil
		return err
	})
	if apierrors.IsNotFound(err) && secret.ResourceVersion == "" {
		return fmt.Errorf("namespace %q does not exist: %w", s.namespace, err)
	}
	return err
}

// isConflict reports whether another writer was faster.
func isConflict(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// readSecret returns the files and the Secret that holds them, which has no resource version if it has yet to be created.
func (s *SecretStore) readSecret(ctx context.Context) (Files, *corev1.Secret, error) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}
	err := s.client.Get(ctx, secret)
	if apierrors.IsNotFound(err) {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: s.name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": kube.FieldManager},
		}}
	} else if err != nil {
		return Files{}, nil, err
	}
	files, err := s.cache.parseFiles(secretValue(secret, infraFile), secretValue(secret, secretsFile))
	return files, secret, err
}

// secretValue returns the value of a key, nil only if the key does not exist: the API server may return an empty value as nil.
func secretValue(secret *corev1.Secret, key string) []byte {
	v, ok := secret.Data[key]
	if ok && v == nil {
		return []byte{}
	}
	return v
}
