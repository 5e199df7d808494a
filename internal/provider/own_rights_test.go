package provider_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// restricted is a setting in which the provider has just the ClusterRole that the documentation prints. All tests of brane_namespace and of what reads it run so.
func restricted(t *testing.T) setting {
	t.Helper()
	s := newSetting(t)
	s.kubeconfig = documentedAccount(t)
	return s
}

// documentedAccount makes an account with the documented ClusterRole and nothing else, and returns its kubeconfig.
func documentedAccount(t *testing.T) string {
	t.Helper()
	s := newSetting(t)
	page, err := os.ReadFile("../../templates/guides/permissions.md")
	must(t, err)
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page has no YAML")
	}
	var role rbacv1.ClusterRole
	must(t, yaml.UnmarshalStrict([]byte(text), &role))
	name := clustertest.Name(role.Name)
	role.ObjectMeta = metav1.ObjectMeta{Name: name}
	ns := clustertest.Namespace(t)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "provider"}},
	}
	must(t, s.client.Create(t.Context(), &role))
	must(t, s.client.Create(t.Context(), binding))
	t.Cleanup(func() {
		must(t, s.client.Delete(context.Background(), binding))
		must(t, s.client.Delete(context.Background(), &role))
	})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(file, s.account(t, ns, "provider").kubeconfig, 0o600))
	return file
}
