package workflow

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// secretEnvName is the name of the Secret with the steps' secret environment. It is not the run's other Secret: the init container has no business with it.
func (r *Run) secretEnvName() string { return objectName("brane", r.ID, "env") }

// secretEnvKey is the key of one variable of one step. No step has a dot in its name, so no two are the same.
func secretEnvKey(step, name string) string { return step + "." + name }

// putSecretEnv makes the Secret with the steps' secret environment, where there is any.
func (r *Run) putSecretEnv(ctx context.Context, owner metav1.OwnerReference) error {
	secret := &corev1.Secret{ObjectMeta: r.meta()}
	secret.Name, secret.OwnerReferences, secret.StringData = r.secretEnvName(), []metav1.OwnerReference{owner}, map[string]string{}
	for _, step := range r.Graph.All() {
		for name, value := range step.SecretEnv {
			secret.StringData[secretEnvKey(step.Name, name)] = value
		}
	}
	if len(secret.StringData) == 0 {
		return nil
	}
	if err := r.put(ctx, secret); err != nil { // the values may have changed since an earlier apply of the run made it
		return fmt.Errorf("create the secret environment of run %q, %s: %w", r.ID, kube.Describe(secret), err)
	}
	return nil
}
