package jobspec

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// SecretEnvKey returns the key of one variable of one step. Keys are unique, because names of steps contain no dots.
func SecretEnvKey(step, name string) string { return step + "." + name }

// BuildSecretEnv returns the Secret of this name with the steps' secret environment; nil if there is none.
func BuildSecretEnv(spec *workflow.Spec, name string, owner metav1.OwnerReference) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: spec.Ref().Meta(), StringData: map[string]string{}}
	secret.Name, secret.OwnerReferences = name, []metav1.OwnerReference{owner}
	for _, step := range spec.Graph.All() {
		for name, value := range step.SecretEnv {
			secret.StringData[SecretEnvKey(step.Name, name)] = value
		}
	}
	if len(secret.StringData) == 0 {
		return nil
	}
	return secret
}
