package credentials

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

const (
	managedByLabel = "app.kubernetes.io/managed-by"
	componentLabel = "app.kubernetes.io/component"
	component      = "registered-token"     // as opposed to the token of brane_namespace
	tokenInterval  = 100 * time.Millisecond // the token controller takes a few milliseconds where it is not busy
)

// LongLived is a token that never expires, with the name of the Secret in which the cluster stores it. The token is valid as long as the Secret exists.
type LongLived struct {
	Value  string // a secret
	Secret string
}

// CreateLongLivedToken creates a Secret for a service account and waits until the cluster has stored a token in it. If that fails, the Secret is deleted again.
func CreateLongLivedToken(ctx context.Context, c *kube.Client, namespace, serviceAccount string) (_ LongLived, err error) {
	tried := fmt.Sprintf("create a long-lived token for service account %q in namespace %q on %s", serviceAccount, namespace, c.Host())
	// The cluster silently deletes the Secret of a service account that does not exist.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: serviceAccount}}
	if err := c.Retry(ctx, func() error { return c.Get(ctx, account) }); err != nil {
		if apierrors.IsNotFound(err) {
			err = fmt.Errorf("%w: %w", ErrNoAccount, err)
		}
		return LongLived{}, fmt.Errorf("%s: %w", tried, err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: serviceAccount + "-token-" + strings.ToLower(rand.Text()[:8]),
			Labels:      map[string]string{managedByLabel: kube.FieldManager, componentLabel: component},
			Annotations: map[string]string{corev1.ServiceAccountNameKey: serviceAccount},
		},
		Type: corev1.SecretTypeServiceAccountToken,
	}
	err = c.Retry(ctx, func() error { return c.Create(ctx, secret) })
	if err != nil && !apierrors.IsAlreadyExists(err) { // the name is random: an earlier attempt created it, and its response was lost
		return LongLived{}, fmt.Errorf("%s: %w", tried, err)
	}
	defer func() {
		if err != nil {
			after, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer done()
			err = errors.Join(err, Revoke(after, c, namespace, secret.Name))
		}
	}()
	err = wait.PollUntilContextCancel(ctx, tokenInterval, true, func(ctx context.Context) (bool, error) {
		err := c.Retry(ctx, func() error { return c.Get(ctx, secret) })
		return len(secret.Data[corev1.ServiceAccountTokenKey]) > 0, err
	})
	if err != nil && ctx.Err() != nil {
		return LongLived{}, fmt.Errorf("%s: the cluster has not stored a token in Secret %q: %w", tried, secret.Name, context.Cause(ctx))
	}
	if err != nil {
		return LongLived{}, fmt.Errorf("%s: %w", tried, err)
	}
	return LongLived{string(secret.Data[corev1.ServiceAccountTokenKey]), secret.Name}, nil
}

// Revoke deletes the Secret of a long-lived token, which invalidates the token. A Secret that [CreateLongLivedToken] has not created stays.
func Revoke(ctx context.Context, c *kube.Client, namespace, secret string) error {
	tried := fmt.Sprintf("revoke the token in Secret %q in namespace %q on %s", secret, namespace, c.Host())
	live := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secret}}
	err := c.Retry(ctx, func() error { return c.Get(ctx, live) })
	if err == nil {
		if live.Labels[managedByLabel] != kube.FieldManager || live.Labels[componentLabel] != component {
			return nil
		}
		err = c.Retry(ctx, func() error { return c.Delete(ctx, live) })
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: %w", tried, err)
	}
	return nil
}
