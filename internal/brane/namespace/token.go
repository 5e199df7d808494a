package namespace

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// tokenProblem returns what is wrong with the token in the Secret of the Spec's long-lived token, or nothing.
func (now *inventory) tokenProblem(spec Spec, live kube.Object) string {
	secret, ok := live.(*corev1.Secret)
	if !ok || secret.Name != TokenSecret(spec.ServiceAccount) || secret.Type != corev1.SecretTypeServiceAccountToken {
		return ""
	}
	account, _ := now.children[objectKey(&corev1.ServiceAccount{ObjectMeta: spec.childMeta(spec.ServiceAccount)})].(*corev1.ServiceAccount)
	return credentials.DescribeTokenSecret(secret, account)
}
