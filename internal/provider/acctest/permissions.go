package acctest

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

// ServiceAccount holds the credentials of a service account.
type ServiceAccount struct {
	Kubeconfig []byte
	Client     *kube.Client
}

// CreateServiceAccount creates a service account without any permission.
func (s Env) CreateServiceAccount(t *testing.T, ns, name string) ServiceAccount {
	t.Helper()
	err := s.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}})
	if !apierrors.IsAlreadyExists(err) { // the controller may already have created "default"
		NoError(t, err)
	}
	token, err := credentials.RequestToken(t.Context(), s.Client, ns, name, time.Hour, nil)
	NoError(t, err)
	ca, err := s.Client.CA()
	NoError(t, err)
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: s.Client.Host(), CA: ca, Token: token.Value, Namespace: ns, Name: name})
	NoError(t, err)
	return ServiceAccount{kubeconfig, NewClient(t, kubeconfig)}
}

// NewClient returns a client for a kubeconfig.
func NewClient(t *testing.T, kubeconfig []byte) *kube.Client {
	t.Helper()
	k, err := credentials.Parse(kubeconfig)
	NoError(t, err)
	client, err := kube.New(k.Config())
	NoError(t, err)
	return client
}

// KubeconfigVariable is the variable in which [Main] passes providers their kubeconfig. Its service account has only the ClusterRole of the documentation. Tests
// themselves use the credentials of the administrator, which KUBECONFIG contains.
const KubeconfigVariable = "KUBE_CONFIG_PATH"

// useDocumentedPermissions creates the service account for the providers of this process; undo deletes it.
func useDocumentedPermissions(folder string) (undo func() error, err error) {
	config, err := kube.Connection{ConfigPath: os.Getenv("KUBECONFIG")}.Config()
	if err != nil {
		return nil, err
	}
	client, err := kube.New(config)
	if err != nil {
		return nil, err
	}
	kubeconfig, undo, err := createDocumentedAccount(context.Background(), client)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "kubeconfig")
	return undo, errors.Join(os.WriteFile(file, kubeconfig, 0o600), os.Setenv(KubeconfigVariable, file))
}

// ReadDocumentedRole reads the Role of the documentation for runs in a namespace.
func ReadDocumentedRole(t *testing.T) *rbacv1.Role {
	t.Helper()
	var role rbacv1.Role
	NoError(t, readDocumentedRole("Role", &role))
	return &role
}

// readDocumentedRole reads the object of this kind from the guide about permissions.
func readDocumentedRole(kind string, into any) error {
	page, err := os.ReadFile(RepositoryPath("docs/guides/permissions.md"))
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\napiVersion: rbac.authorization.k8s.io/v1\nkind: "+kind+"\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		return fmt.Errorf("the page has no %s", kind)
	}
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		return fmt.Errorf("read the documented %s: %w", kind, err)
	}
	return nil
}

// createDocumentedAccount creates a service account with the documented ClusterRole and the permissions for a control plane in a Secret, and no others; undo
// deletes both.
func createDocumentedAccount(ctx context.Context, admin *kube.Client) (kubeconfig []byte, undo func() error, err error) {
	var role rbacv1.ClusterRole
	if err := readDocumentedRole("ClusterRole", &role); err != nil {
		return nil, nil, err
	}
	// The page describes it as an additional permission, for control_plane.kubernetes_secret.
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"update"}})
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

// GrantPermissions gives the providers of this process more permissions in a namespace, as the documentation does for some features.
func (s Env) GrantPermissions(t *testing.T, namespace string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	text, err := os.ReadFile(clustertest.Getenv(t, KubeconfigVariable))
	NoError(t, err)
	own, err := credentials.Parse(text)
	NoError(t, err)
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "provider"}
	NoError(t, s.Client.Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}))
	NoError(t, s.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: own.Namespace, Name: own.Name}},
	}))
}

// WriteDocumentedKubeconfig returns the path of a kubeconfig for another cluster, also with the documented permissions.
func WriteDocumentedKubeconfig(t *testing.T, cluster clustertest.Cluster) string {
	t.Helper()
	kubeconfig, _, err := createDocumentedAccount(t.Context(), cluster.Client) // it is deleted with the cluster
	NoError(t, err)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	NoError(t, os.WriteFile(file, kubeconfig, 0o600))
	return file
}
