package infra

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

func TestSecretStore(t *testing.T) {
	client := clustertest.Client(t)
	namespace := clustertest.Namespace(t)
	testStore(t, func(t *testing.T) (func() Store, func(string, string), func() (string, string)) {
		name := clustertest.Name("config")
		put := func(infra, secrets string) {
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
				Data:       map[string][]byte{infraFile: []byte(infra), secretsFile: []byte(secrets)},
			}
			if err := client.Create(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
		get := func() (string, string) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
			if err := client.Get(t.Context(), secret); err != nil && !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
			return string(secret.Data[infraFile]), string(secret.Data[secretsFile])
		}
		return func() Store { return NewSecretStore(client, namespace, name) }, put, get
	})
}

func TestSecretStoreKeepsOtherKeys(t *testing.T) {
	client := clustertest.Client(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: clustertest.Namespace(t), Name: "config", Annotations: map[string]string{"whose": "the user's"}},
		Data:       map[string][]byte{"other": []byte("stays")},
	}
	if err := client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if err := Register(t.Context(), NewSecretStore(client, secret.Namespace, "config"), golden, kubeconfig); err != nil {
		t.Fatal(err)
	}
	if err := client.Get(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if string(secret.Data["other"]) != "stays" || secret.Annotations["whose"] != "the user's" || len(secret.Data) != 3 {
		t.Errorf("got %v", secret)
	}
}

func TestSecretStoreNeedsItsNamespace(t *testing.T) {
	err := Register(t.Context(), NewSecretStore(clustertest.Client(t), clustertest.Name("gone"), "config"), golden, kubeconfig)
	if err == nil || !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}

// TestSecretStoreConflictsEveryTime checks that an update gives up if another writer is faster every time, and has written nothing then.
func TestSecretStoreConflictsEveryTime(t *testing.T) {
	client := clustertest.Client(t)
	namespace := clustertest.Namespace(t)
	s, other := NewSecretStore(client, namespace, "config"), NewSecretStore(client, namespace, "config")
	s.backoff.Duration = 0
	var calls atomic.Int32
	err := s.Update(t.Context(), func(f *Files) error {
		n := int(calls.Add(1))
		if err := Register(t.Context(), other, numbered(n), kubeconfig); err != nil {
			return err
		}
		return f.Infra.Set(golden)
	})
	if !apierrors.IsConflict(err) || !strings.HasPrefix(err.Error(), "another process wrote to it during each of 40 attempts: ") || calls.Load() != 40 {
		t.Errorf("after %d calls: %v", calls.Load(), err)
	}
	if _, err := Lookup(t.Context(), other, golden.Name); !errors.Is(err, ErrNoLocation) {
		t.Errorf("got %v", err)
	}
}

// TestSecretStoreRepeatsLostRequests interrupts every connection to the API server once, before or after a request is processed. Everything must be
// registered, and no writer may find its own location in the way.
func TestSecretStoreRepeatsLostRequests(t *testing.T) {
	for name, done := range map[string]bool{"before a request is done": false, "before a request is answered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := clustertest.Namespace(t)
			there := NewSecretStore(clustertest.Client(t), namespace, "config")
			if err := Create(t.Context(), NewSecretStore(clustertest.Unsteady(t, done), namespace, "config"), golden, kubeconfig); err != nil { // creates the Secret
				t.Fatal(err)
			}
			if err := Create(t.Context(), NewSecretStore(clustertest.Unsteady(t, done), namespace, "config"), numbered(1), kubeconfig); err != nil {
				t.Fatal(err)
			}
			for _, l := range []Location{golden, numbered(1)} {
				if _, err := Lookup(t.Context(), there, l.Name); err != nil {
					t.Error(err)
				}
			}
			err := Create(t.Context(), NewSecretStore(clustertest.Unsteady(t, done), namespace, "config"), golden, kubeconfig)
			if !errors.Is(err, ErrExists) {
				t.Errorf("got %v", err)
			}
			if err := Unregister(t.Context(), NewSecretStore(clustertest.Unsteady(t, done), namespace, "config"), golden.Name, ""); err != nil {
				t.Fatal(err)
			}
			if _, err := Lookup(t.Context(), there, golden.Name); !errors.Is(err, ErrNoLocation) {
				t.Errorf("got %v", err)
			}
		})
	}
}
