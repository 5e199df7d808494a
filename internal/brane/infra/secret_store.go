package infra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Twice as many tries as twenty writers need where each of the others is in the way once.
const tries = 40

// SecretStore keeps the documents in one Kubernetes Secret, under the keys infra.yml and secrets.yml: mounted at /config it is Brane's folder.
type SecretStore struct {
	client          *kube.Client
	namespace, name string
	turn            chan struct{} // writers with this store go one after another; only those of other processes are met as conflicts
	pause           func(ctx context.Context, try int) error
}

// Secret is a store in a Secret, which comes into being with the first write. Its namespace must be there.
func Secret(c *kube.Client, namespace, name string) *SecretStore {
	return &SecretStore{client: c, namespace: namespace, name: name, turn: make(chan struct{}, 1), pause: pause}
}

func (s *SecretStore) String() string { return "Secret " + s.namespace + "/" + s.name }

// Read gives both documents of one version of the Secret. Unlike Update it does not wait for an API server that is away: a plan should tell soon.
func (s *SecretStore) Read(ctx context.Context) (Files, error) {
	files, _, err := s.read(ctx)
	return files, err
}

// Update changes the documents in the version that it has read. Where somebody else was faster it starts again, for about
// a quarter of a minute: with twenty processes that write at once each of the others may be in the way once. An API server
// that is away for a moment is waited for.
func (s *SecretStore) Update(ctx context.Context, change func(*Files) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for try := 1; ; try++ {
		err := s.try(ctx, change)
		if !isMet(err) {
			return err
		}
		if try == tries {
			return fmt.Errorf("somebody else wrote to it each of %d times: %w", tries, err)
		}
		if waited := s.pause(ctx, try); waited != nil {
			return errors.Join(waited, err)
		}
	}
}

// pause waits a random while before the next try, so that those who met once do not meet again.
func pause(ctx context.Context, try int) error {
	longest := min(20*time.Millisecond<<min(try, 10), time.Second)
	timer := time.NewTimer(rand.N(longest)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *SecretStore) try(ctx context.Context, change func(*Files) error) error {
	var before Files
	var secret *corev1.Secret
	err := s.client.Persist(ctx, func() (err error) {
		before, secret, err = s.read(ctx)
		return err
	})
	if err != nil {
		return err
	}
	after := before.copy()
	if err := change(&after); err != nil {
		return err
	}
	ws := writes(before, after)
	if len(ws) == 0 {
		return nil
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for _, w := range ws {
		secret.Data[w.name] = bytes.Clone(w.data)
	}
	return s.write(ctx, secret)
}

// write creates or updates the Secret. Where an answer was lost, what the next try meets may be its own write.
func (s *SecretStore) write(ctx context.Context, secret *corev1.Secret) error {
	put := s.client.Update
	if secret.ResourceVersion == "" {
		put = s.client.Create
	}
	lost := false
	err := s.client.Persist(ctx, func() error {
		err := put(ctx, secret)
		if lost && isMet(err) {
			live := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}
			if problem := s.client.Get(ctx, live); problem != nil || maps.EqualFunc(live.Data, secret.Data, bytes.Equal) {
				return problem
			}
		}
		lost = err != nil
		return err
	})
	if apierrors.IsNotFound(err) && secret.ResourceVersion == "" {
		return fmt.Errorf("namespace %q is not there: %w", s.namespace, err)
	}
	return err
}

// isMet says whether an error is that somebody else was faster.
func isMet(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// read gives the documents and the Secret they stand in; one without a resource version is yet to be created.
func (s *SecretStore) read(ctx context.Context) (Files, *corev1.Secret, error) {
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
	files, err := openFiles(present(secret, infraFile), present(secret, secretsFile))
	return files, secret, err
}

// present is the value of a key, nil only where the key is not there: an empty value may come as nil.
func present(secret *corev1.Secret, key string) []byte {
	v, ok := secret.Data[key]
	if ok && v == nil {
		return []byte{}
	}
	return v
}
