package provider_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// The provider runs in the test's own process, for the CLI that TF_ACC_TERRAFORM_PATH names.
var ProviderFactories = map[string]func() (tfprotov6.ProviderServer, error){
	"brane": providerserver.NewProtocol6WithError(provider.New("test")()),
}

// Env is one test's place: a namespace name of its own, and a folder in which the Brane instance would keep its files.
type Env struct {
	Client     *kube.Client // an administrator
	Namespace  string
	Directory  string
	OwnCluster *clustertest.Cluster // the test's own cluster; nil is the one of all tests
}

// Getenv is one of the cluster's environment.
func (s Env) Getenv(t *testing.T, name string) string {
	t.Helper()
	if s.OwnCluster != nil {
		return s.OwnCluster.Variable(t, name)
	}
	return clustertest.Getenv(t, name)
}

func NewEnv(t *testing.T) Env {
	t.Helper()
	if os.Getenv("TF_ACC") == "" {
		t.Fatal("acceptance tests run with TF_ACC=1; `make test` sets it")
	}
	return Env{Client: clustertest.Client(t), Namespace: clustertest.Name("acc"), Directory: t.TempDir()}
}

// ProviderBlock is the provider block; all but the control plane comes from the environment of the test cluster, and the account from [KubeconfigVariable].
func (s Env) ProviderBlock() string {
	return fmt.Sprintf("provider \"brane\" {\n  control_plane = { directory = %q }\n}\n", s.Directory)
}

// Config is a configuration with the provider block in front; $NAMESPACE, $TOOLS and $REGISTRY stand for what they say.
func (s Env) Config(t *testing.T, body string) string {
	t.Helper()
	return s.ProviderBlock() + strings.NewReplacer(
		"$NAMESPACE", s.Namespace,
		"$TOOLS", s.Getenv(t, "BRANE_TOOLS_IMAGE"),
		"$REGISTRY", s.Getenv(t, "BRANE_REGISTRY"),
	).Replace(body)
}

func (s Env) ControlPlaneFile(name string) string { return filepath.Join(s.Directory, name) }

// EditFile replaces text in one of the control plane's files, as somebody with an editor would.
func (s Env) EditFile(t *testing.T, name, from, to string) {
	t.Helper()
	data, err := os.ReadFile(s.ControlPlaneFile(name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s holds no %q:\n%s", name, from, data)
	}
	if err := os.WriteFile(s.ControlPlaneFile(name), []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// CheckGone checks that an object is not there any more.
func (s Env) CheckGone(objects ...kube.Object) error {
	for _, object := range objects {
		if err := s.Client.Get(context.Background(), object); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there (%w)", kube.Describe(object), err)
		}
	}
	return nil
}

func NoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
