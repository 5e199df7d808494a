package credentials

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// invalidSinceLabel is set on the Secret of a token that Kubernetes does not accept any more, because it was not used for a year
// (kubernetes/pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go).
const invalidSinceLabel = "kubernetes.io/legacy-token-invalid-since"

// DescribeTokenSecret returns what is wrong with the token in the Secret of a service account, or nothing; account is nil if it does not exist. A Secret to which
// the token controller has not added the token yet is right.
func DescribeTokenSecret(secret *corev1.Secret, account *corev1.ServiceAccount) string {
	if since := secret.Labels[invalidSinceLabel]; since != "" {
		return fmt.Sprintf("a token that the cluster does not accept since %s, because it was not used", since)
	}
	const other = "the token of another service account"
	if account == nil {
		return "the token of a service account that does not exist"
	}
	uid := secret.Annotations[corev1.ServiceAccountUIDKey]
	if secret.Annotations[corev1.ServiceAccountNameKey] != account.Name || uid != "" && uid != string(account.UID) {
		return other
	}
	token := secret.Data[corev1.ServiceAccountTokenKey]
	if len(token) == 0 {
		return ""
	}
	var claims tokenClaims
	switch {
	case !readClaims(string(token), &claims):
		return "no token"
	case claims.Subject != fmt.Sprintf("system:serviceaccount:%s:%s", account.Namespace, account.Name), claims.UID != "" && claims.UID != string(account.UID):
		return other
	default:
		return ""
	}
}

// InspectToken compares the kubeconfig's token with its service account and, if it is a long-lived token, with its Secret. It returns a sentence about why the
// cluster does not accept the token, or nothing. It does not use the token: c is a connection that may read these objects.
func (k *Kubeconfig) InspectToken(ctx context.Context, c *kube.Client) (string, error) {
	var claims tokenClaims
	namespace, name, ok := k.ServiceAccount()
	if !ok || !readClaims(k.Token, &claims) {
		return "", nil
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	switch err := c.Get(ctx, account); {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("the registered token is of service account %q in namespace %q, which does not exist", name, namespace), nil
	case err != nil:
		return "", fmt.Errorf("read service account %q in namespace %q on %s: %w", name, namespace, c.Host(), err)
	case claims.accountUID() != "" && claims.accountUID() != string(account.UID):
		return fmt.Sprintf("the registered token is of an earlier service account %q in namespace %q, which was deleted", name, namespace), nil
	case claims.Secret == "":
		return "", nil
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: claims.Secret}}
	switch err := c.Get(ctx, secret); {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("the registered token was revoked: its Secret %q in namespace %q does not exist", claims.Secret, namespace), nil
	case err != nil:
		return "", fmt.Errorf("read Secret %q in namespace %q on %s: %w", claims.Secret, namespace, c.Host(), err)
	}
	if problem := DescribeTokenSecret(secret, account); problem != "" {
		return fmt.Sprintf("Secret %q of the registered token contains %s", claims.Secret, problem), nil
	}
	if string(secret.Data[corev1.ServiceAccountTokenKey]) != k.Token {
		return fmt.Sprintf("the registered token was revoked: its Secret %q in namespace %q contains another token", claims.Secret, namespace), nil
	}
	return "", nil
}
