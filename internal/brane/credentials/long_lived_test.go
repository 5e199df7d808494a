package credentials

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

func TestLongLivedTokenIsValidUntilRevoked(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	namespace, name := account(t, createJobs, nil)
	token, err := CreateLongLivedToken(t.Context(), c, namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	k := registered(t, namespace, name)
	k.Token = token.Value
	if issued, expires, _ := k.Lifetime(); !expires.IsZero() {
		t.Errorf("issued %s, expires %s", issued, expires)
	}
	if got := k.TokenSecret(); got != token.Secret {
		t.Errorf("the token says it stands in Secret %q, and it stands in %q", got, token.Secret)
	}
	if _, err := probe(t, k, namespace, func(_ Report, err error) bool { return err == nil }); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := Revoke(t.Context(), c, namespace, token.Secret); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := probe(t, k, namespace, func(_ Report, err error) bool { return errors.Is(err, ErrUnauthorized) }); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("after revoking: %v", err)
	}
}

func TestLongLivedTokenNeedsServiceAccount(t *testing.T) {
	t.Parallel()
	namespace := clustertest.Namespace(t)
	if _, err := CreateLongLivedToken(t.Context(), clustertest.Client(t), namespace, "nobody"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("got %v", err)
	}
}

func TestRevokeKeepsOtherSecrets(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	others := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: clustertest.Namespace(t), Name: "others"}}
	if err := c.Create(t.Context(), others); err != nil {
		t.Fatal(err)
	}
	if err := Revoke(t.Context(), c, others.Namespace, others.Name); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), others); apierrors.IsNotFound(err) {
		t.Error("it deleted a Secret that somebody else made")
	}
}

// TestLongLivedTokenRetries interrupts each connection once, before or after the API server has handled the request, and expects one token.
func TestLongLivedTokenRetries(t *testing.T) {
	for name, done := range map[string]bool{"before a request is done": false, "before a request is answered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clustertest.Unsteady(t, done)
			namespace, name := account(t, createJobs, nil)
			made := func() (names []string) {
				var secrets corev1.SecretList
				if err := clustertest.Client(t).List(t.Context(), &secrets, namespace, componentLabel+"="+component); err != nil {
					t.Fatal(err)
				}
				for _, secret := range secrets.Items {
					names = append(names, secret.Name)
				}
				return names
			}
			token, err := CreateLongLivedToken(t.Context(), c, namespace, name)
			if err != nil {
				t.Fatal(err)
			}
			if got := made(); len(got) != 1 || got[0] != token.Secret {
				t.Errorf("the Secrets %v and not %s", got, token.Secret)
			}
			if err := Revoke(t.Context(), c, namespace, token.Secret); err != nil {
				t.Fatal(err)
			}
			if got := made(); len(got) != 0 {
				t.Errorf("the Secrets %v are left", got)
			}
		})
	}
}
