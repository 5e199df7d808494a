package namespace

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// invalidSinceLabel is set on the Secret of a token that Kubernetes does not accept any more, because it was not used for a year
// (kubernetes/pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go).
const invalidSinceLabel = "kubernetes.io/legacy-token-invalid-since"

// tokenProblem returns what is wrong with the token in the Secret of the Spec's long-lived token, or nothing.
func (now *inventory) tokenProblem(spec Spec, live kube.Object) string {
	secret, ok := live.(*corev1.Secret)
	if !ok || secret.Name != TokenSecret(spec.ServiceAccount) || secret.Type != corev1.SecretTypeServiceAccountToken {
		return ""
	}
	account, _ := now.children[objectKey(&corev1.ServiceAccount{ObjectMeta: spec.childMeta(spec.ServiceAccount)})].(*corev1.ServiceAccount)
	return describeToken(secret, account)
}

// describeToken returns what is wrong with a token, or nothing; account is nil if it does not exist. A Secret to which the token controller
// has not added the token yet is right.
func describeToken(secret *corev1.Secret, account *corev1.ServiceAccount) string {
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
	claims, ok := decodeClaims(string(token))
	switch {
	case !ok:
		return "no token"
	case claims.Subject != fmt.Sprintf("system:serviceaccount:%s:%s", account.Namespace, account.Name), claims.UID != "" && claims.UID != string(account.UID):
		return other
	default:
		return ""
	}
}

// tokenClaims contains the claims that identify the service account of a token.
type tokenClaims struct {
	Subject string `json:"sub"`
	UID     string `json:"kubernetes.io/serviceaccount/service-account.uid"`
}

// decodeClaims reads the claims of a token without verifying it.
func decodeClaims(token string) (tokenClaims, bool) {
	var claims tokenClaims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return claims, err == nil && json.Unmarshal(payload, &claims) == nil
}
