package provider_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// account is a service account and what it authenticates with.
type account struct {
	kubeconfig []byte
	client     *kube.Client
}

// account makes a service account without any right of its own.
func (s setting) account(t *testing.T, ns, name string) account {
	t.Helper()
	err := s.client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}})
	if !apierrors.IsAlreadyExists(err) { // the controller may have been first with "default"
		must(t, err)
	}
	token, err := credentials.RequestToken(t.Context(), s.client, ns, name, time.Hour, nil)
	must(t, err)
	ca, err := s.client.CA()
	must(t, err)
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: s.client.Host(), CA: ca, Token: token.Value, Namespace: ns, Name: name})
	must(t, err)
	return account{kubeconfig, parsed(t, kubeconfig)}
}

func parsed(t *testing.T, kubeconfig []byte) *kube.Client {
	t.Helper()
	k, err := credentials.Parse(kubeconfig)
	must(t, err)
	client, err := kube.New(k.Config())
	must(t, err)
	return client
}

// Every provider that a test starts has just the ClusterRole that the documentation prints: TestMain puts its kubeconfig where the provider block looks for one.
// The administrator, which KUBECONFIG names, is for what tests do themselves.
const ownKubeconfig = "KUBE_CONFIG_PATH"

// actWithOwnRights makes the account for all tests of this process; undo removes it.
func actWithOwnRights(folder string) (undo func() error, err error) {
	config, err := kube.Connection{ConfigPath: os.Getenv("KUBECONFIG")}.Config()
	if err != nil {
		return nil, err
	}
	client, err := kube.New(config)
	if err != nil {
		return nil, err
	}
	kubeconfig, undo, err := documentedAccount(context.Background(), client)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "kubeconfig")
	return undo, errors.Join(os.WriteFile(file, kubeconfig, 0o600), os.Setenv(ownKubeconfig, file))
}

// documentedAccount makes an account with the documented ClusterRole and nothing else; undo removes both.
func documentedAccount(ctx context.Context, admin *kube.Client) (kubeconfig []byte, undo func() error, err error) {
	page, err := os.ReadFile(repositoryPath("templates", "guides", "permissions.md"))
	if err != nil {
		return nil, nil, err
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		return nil, nil, errors.New("the page has no YAML")
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
		return nil, nil, fmt.Errorf("read the documented ClusterRole: %w", err)
	}
	name := clustertest.Name(role.Name)
	role.ObjectMeta = metav1.ObjectMeta{Name: name}
	objects := []kube.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "provider"}},
		&role,
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: name, Name: "provider"}},
		},
	}
	for _, object := range objects {
		if err := admin.Create(ctx, object); err != nil {
			return nil, nil, err
		}
	}
	token, err := credentials.RequestToken(ctx, admin, name, "provider", 6*time.Hour, nil) // longer than any run of the tests
	if err != nil {
		return nil, nil, err
	}
	ca, err := admin.CA()
	if err != nil {
		return nil, nil, err
	}
	kubeconfig, err = credentials.Render(credentials.Kubeconfig{Server: admin.Host(), CA: ca, Token: token.Value, Namespace: name, Name: "provider"})
	return kubeconfig, func() error {
		return errors.Join(admin.Delete(ctx, objects[3]), admin.Delete(ctx, objects[2]), admin.Delete(ctx, objects[0]))
	}, err
}

// grant gives the provider's account more rights in a namespace, for what the documentation says that it needs more.
func (s setting) grant(t *testing.T, namespace string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	text, err := os.ReadFile(clustertest.Getenv(t, ownKubeconfig))
	must(t, err)
	own, err := credentials.Parse(text)
	must(t, err)
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "provider"}
	must(t, s.client.Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}))
	must(t, s.client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: own.Namespace, Name: own.Name}},
	}))
}

// ownRightsIn is a kubeconfig for another cluster, with the documented rights too.
func ownRightsIn(t *testing.T, cluster clustertest.Cluster) string {
	t.Helper()
	kubeconfig, _, err := documentedAccount(t.Context(), cluster.Client) // it goes with the cluster
	must(t, err)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(file, kubeconfig, 0o600))
	return file
}
