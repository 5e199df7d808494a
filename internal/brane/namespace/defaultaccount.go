package namespace

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// defaultAccount is the service account of pods that name none, such as those of Brane's own Jobs. Kubernetes creates it, and other tools
// also add pull Secrets to it, so that this package changes only its own entry.
const defaultAccount = "default"

// needsDefaultAccount reports whether the default service account needs the pull Secret.
func (s Spec) needsDefaultAccount() bool {
	return len(s.RegistryCredentials) > 0 && s.ServiceAccount != defaultAccount
}

func (s Spec) defaultAccountObject() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.Name, Name: defaultAccount}}
}

var pullSecretReference = corev1.LocalObjectReference{Name: pullSecretName}

// defaultAccountDrift returns a sentence if the default service account lacks the pull Secret that it needs.
func (s Spec) defaultAccountDrift(ctx context.Context, r Reader) ([]string, error) {
	if !s.needsDefaultAccount() {
		return nil, nil
	}
	account := s.defaultAccountObject()
	err := r.Get(ctx, account)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read %s: %w", kube.Describe(account), err)
	}
	if slices.Contains(account.ImagePullSecrets, pullSecretReference) {
		return nil, nil
	}
	return []string{fmt.Sprintf("ServiceAccount %q lacks the image pull secret %q", defaultAccount, pullSecretName)}, nil
}

// applyDefaultAccount adds the pull Secret to the default service account, or removes it.
func (s Spec) applyDefaultAccount(ctx context.Context, c *kube.Client) error {
	if s.ServiceAccount == defaultAccount {
		return nil // it is the own service account
	}
	account := s.defaultAccountObject()
	err := retry.OnError(retry.DefaultBackoff, isLostRace, func() error {
		return c.Retry(ctx, func() error { return s.changeDefaultAccount(ctx, c, account) })
	})
	if err != nil {
		return fmt.Errorf("change the image pull secrets of %s: %w", kube.Describe(account), err)
	}
	return nil
}

// isLostRace reports whether another client, such as the controller of service accounts, has changed or created the object in the meantime.
func isLostRace(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

func (s Spec) changeDefaultAccount(ctx context.Context, c *kube.Client, account *corev1.ServiceAccount) error {
	err := c.Get(ctx, account)
	switch {
	case apierrors.IsNotFound(err) && s.needsDefaultAccount(): // Kubernetes creates it in a moment, or its controller is switched off
		created := s.defaultAccountObject()
		created.ImagePullSecrets = []corev1.LocalObjectReference{pullSecretReference}
		return c.Create(ctx, created)
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	// The list is one value for the API server, so that it is only changed if no other client has changed it since.
	references := slices.DeleteFunc(account.ImagePullSecrets, func(r corev1.LocalObjectReference) bool { return r == pullSecretReference })
	if s.needsDefaultAccount() {
		references = append(references, pullSecretReference)
	}
	if len(references) == len(account.ImagePullSecrets) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": account.ResourceVersion}, "imagePullSecrets": references,
	})
	if err != nil {
		return err
	}
	return c.MergePatch(ctx, account, patch)
}
