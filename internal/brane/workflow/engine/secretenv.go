package engine

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// secretEnvName returns the name of the Secret with the steps' secret environment. It is separate from the other Secret of the run, because the init container does not
// need it.
func (r *Run) secretEnvName() string { return workflow.ObjectName("brane", r.ID, "env") }

// secretEnvKey returns the key of one variable of one step. Keys are unique, because names of steps contain no dots.
func secretEnvKey(step, name string) string { return step + "." + name }

// putSecretEnv writes the Secret with the steps' secret environment, if there is any.
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
	if err := r.put(ctx, secret); err != nil { // the values may have changed since an earlier apply
		return fmt.Errorf("create the secret environment of run %q, %s: %w", r.ID, kube.Describe(secret), err)
	}
	return nil
}
