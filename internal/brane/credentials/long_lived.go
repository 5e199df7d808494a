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
	component      = "registered-token"     // as opposed to a token that belongs to the namespace
	tokenInterval  = 100 * time.Millisecond // the token controller takes a few milliseconds where it is not busy
)

// LongLived is a token that never expires, with the name of the Secret in which the cluster keeps it. The token is good as long as the Secret is there.
type LongLived struct {
	Value  string // a secret
	Secret string
}

// MintLongLived makes a Secret for a service account and waits until the cluster has put a token into it. What it made does not outlive an error.
func CreateLongLivedToken(ctx context.Context, c *kube.Client, namespace, serviceAccount string) (_ LongLived, err error) {
	tried := fmt.Sprintf("make a long-lived token of service account %q in namespace %q on %s", serviceAccount, namespace, c.Host())
	// For an account that is not there the cluster would silently remove the Secret again.
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
	if err != nil && !apierrors.IsAlreadyExists(err) { // only this function uses the name: an earlier request succeeded, and its response was lost
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
		return LongLived{}, fmt.Errorf("%s: the cluster has put no token into Secret %q: %w", tried, secret.Name, context.Cause(ctx))
	}
	if err != nil {
		return LongLived{}, fmt.Errorf("%s: %w", tried, err)
	}
	return LongLived{string(secret.Data[corev1.ServiceAccountTokenKey]), secret.Name}, nil
}

// Revoke deletes the Secret of a long-lived token and with it the token. Where it is gone nothing changes; a Secret that [MintLongLived] has not made stays.
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
