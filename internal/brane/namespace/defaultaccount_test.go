package namespace_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// TestDefaultServiceAccount checks that the default service account gets the pull Secret, keeps the pull Secrets of other tools, and loses
// only ours.
func TestDefaultServiceAccount(t *testing.T) {
	t.Parallel()
	c := clustertest.Client(t)
	spec := fullest()
	create(t, c, spec)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: spec.Name, Name: "default"}}
	check := func(want ...string) {
		t.Helper()
		if err := c.Get(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, reference := range account.ImagePullSecrets {
			got = append(got, reference.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pull Secrets %q, want %q", got, want)
		}
	}
	check("brane-registries")
	meddle(t, c, spec, edit{account, `{"imagePullSecrets":[{"name":"of-the-cluster"}]}`})
	change(t, c, spec, spec)
	check("of-the-cluster", "brane-registries")

	without := spec
	without.RegistryCredentials = nil
	change(t, c, spec, without)
	check("of-the-cluster")
	change(t, c, without, spec)
	check("of-the-cluster", "brane-registries")

	// With the name of the default service account, it is an object of the Spec.
	own := spec
	own.ServiceAccount = "default"
	change(t, c, spec, own)
	change(t, c, own, spec)
	if err := c.Get(t.Context(), account); err != nil || !slices.Contains(account.ImagePullSecrets, corev1.LocalObjectReference{Name: "brane-registries"}) {
		t.Errorf("after the own service account has got another name: %v, %v", err, account.ImagePullSecrets)
	}

	meddle(t, c, spec, edit{account, `{"imagePullSecrets":[{"name":"of-the-cluster"},{"name":"brane-registries"}]}`})
	if err := namespace.Retain(t.Context(), c, spec); err != nil {
		t.Fatal(err)
	}
	check("of-the-cluster")
}
